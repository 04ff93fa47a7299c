"""What methods share that answer yes or no over a `PointwiseModel`: the encoder, what counts beside it, their words."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from tastemaker import collab
from tastemaker.collab.pointwise.attribute_rate import AttributeRate
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.collab.pointwise.item_rate import ItemRate
from tastemaker.collab.pointwise.liked_count import LikedCount
from tastemaker.collab.pointwise.user_item_rate import UserItemRate, UserItemRateConfig
from tastemaker.data.preference import PreferenceSplit
from tastemaker.errors import UsageError
from tastemaker.llm.local import LocalLM
from tastemaker.methods._parts import require_fitted
from tastemaker.methods._preference import PreferenceConfig, PreferenceMethod, shows_dislikes
from tastemaker.types import Progress

RELEASED: dict[str, Any] = {
    "fusion": False,
    "gate": False,
    "layers": None,
    "loss": "yes",
    "schedule": "released",
    "lora_dropout": 0.05,
    "lora_targets": ("q_proj", "v_proj"),
    "answers": ("Yes", "No"),
    "batch_rows": 32,
    "average": None,
    "epochs": 2.0,
    "validate_every": 50,
}
"""What the released code of CoLLM does, and that of BinLLM, which was made from it."""


class EncodedConfig(PreferenceConfig):
    """Settings of those whose prompts may be CoLLM's words."""

    loss: Literal["margin", "yes"] = "margin"
    """What is held against the label: Yes less No, or the logit of Yes alone (``prompt``)."""
    schedule: Literal["cosine", "released"] = "cosine"
    """``released``: the learning rate rises anew in each of the code's short epochs, then stays (``prompt``)."""
    history: int = Field(10, ge=1)
    """The latest liked items that are read."""
    batch_rows: int = Field(16, ge=1)
    """Prompts in a micro-batch (``prompt``)."""
    gate: bool = True
    """Whether the text stage answers where it was better on validation."""


class EncodedMethod(PreferenceMethod):
    """A method over an encoder, whose fusion hears the encoder and what is counted of items and users beside it."""

    Config: ClassVar[type[PreferenceConfig]] = EncodedConfig
    config: EncodedConfig
    encodes: ClassVar[bool] = True
    usual: ClassVar[str] = "sasrec"
    collab: PointwiseModel  # type: ignore[assignment]

    def __init__(
        self, llm: str | LocalLM, collab: PointwiseModel, config: EncodedConfig | None = None, **settings: Any
    ) -> None:
        """``llm``: a name or directory for `LocalLM.load`, or a loaded one, which the method then owns."""
        super().__init__(llm, config, settings)
        self.collab = collab

    @property
    def encoder(self) -> PointwiseModel:
        """Who lends vectors."""
        return self.collab

    def _hashes(self) -> dict[str, str]:
        _, arrays = collab.packed(self.collab)
        digest = hashlib.sha256()
        for name, array in sorted(arrays.items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return {"encoder": digest.hexdigest()}

    @classmethod
    def _of(cls, llm: str, witnesses: tuple[PointwiseModel, ...], config: PreferenceConfig) -> Self:
        return cls(llm, witnesses[0], config)  # type: ignore[arg-type]

    def _prepare(self, split: PreferenceSplit, progress: Progress) -> PreferenceSplit:
        require_fitted(self.collab, split.dataset)
        if len(self.collab.known_users) != split.dataset.n_users:
            raise UsageError(f"the encoder was not fitted on the users of {split.dataset.name}; fit it on this split")
        self.facts = {"dislikes": shows_dislikes(split.train)}
        users: Literal["history", "train"] = "history" if self.facts["dislikes"] else "train"
        counted = ItemRate(), UserItemRate(UserItemRateConfig(users=users)), LikedCount(), AttributeRate()
        self.witnesses = (self.collab, *(model.fit(split) for model in counted))
        return split
