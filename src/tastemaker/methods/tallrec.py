"""TALLRec (Bao et al., RecSys 2023): a language model tuned to follow instructions, then on a few yes/no answers."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from tastemaker.collab.pointwise import models as pointwise_models
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import Judgement, PreferenceSplit, labels
from tastemaker.errors import NotFittedError
from tastemaker.llm.local import LocalLM
from tastemaker.methods._preference import PreferenceConfig, PreferenceMethod, Reading
from tastemaker.methods._tallrec_prompts import InstructReading
from tastemaker.types import Progress


class TALLRecConfig(PreferenceConfig):
    """Settings of TALLRec. ``mode="faithful"`` changes the defaults to the paper's; what is given stays as given."""

    FAITHFUL: ClassVar[dict[str, Any]] = {
        "template": "alpaca",
        "prompt_loss": True,
        "fusion": False,
        "attributes": False,
        "lora_dropout": 0.05,
        "lora_targets": ("q_proj", "v_proj"),
        "answers": ("Yes.", "No."),
        "learning_rate": 1e-4,
        "batch_rows": 32,
        "accumulate": 4,
        "epochs": 200.0,
        "average": None,
        "validate_every": 10,
    }
    """What the released code does."""

    shots: int | None = Field(64, ge=0)
    """How many training rows are tuned on, drawn by the seed, whatever was answered; None: all of them. As in the
    paper, validation is not few: all its labels choose among parameters, and here weigh the fusion."""
    instructions: str | None = None
    """A JSON file in Alpaca's format: the first stage; None: none, as for a model that follows instructions already."""
    instruction_epochs: float = Field(1.0, gt=0)
    template: Literal["short", "alpaca"] = "short"
    """``alpaca``: the paper's headings. ``short``: half as long, and all that users are asked about is a title."""
    prompt_loss: bool = False
    """Whether the prompt is learned too, as by the released code, and not the answer alone."""
    counts: Literal["shots", "train", "none"] = "shots"
    """From which rows fusion knows how items are liked: the same few, all training rows, or it does not."""
    attributes: bool = False
    """Whether genres follow a title."""
    history: int = Field(10, ge=1)
    """Older items are not read."""
    layers: int | None = Field(None, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    epochs: float = Field(8.0, ge=0)
    batch_rows: int = Field(8, ge=1)
    """Prompts in a micro-batch."""
    validate_every: int = Field(10, ge=1)
    validate_rows: int = Field(300, ge=1)


class TALLRec(PreferenceMethod):
    """A language model that reads what was liked and what was not, and says Yes or No to a title.

    ``TALLRec(llm="smollm2-135m", shots=64).tune(split).score(queries)``. With ``fusion`` the score is a logistic
    regression, learned on validation, over the language model's log-odds, the share of likes in the history shown and
    the item's like-rate, counted in the rows that ``counts`` names and no others.
    """

    Config: ClassVar[type[PreferenceConfig]] = TALLRecConfig
    config: TALLRecConfig
    kind: ClassVar[str] = "tallrec"
    reading: InstructReading

    def __init__(self, llm: str | LocalLM, config: TALLRecConfig | None = None, **settings: Any) -> None:
        """``llm``: a name or directory for `LocalLM.load`, or a loaded one, which the method then owns."""
        super().__init__(llm, config, settings)

    def transferred(self, catalogue: Dataset, domain: Literal["movie", "book"]) -> Self:
        """The same tuned model for another catalogue and its words; what was counted of items stays behind."""
        if not hasattr(self, "reading"):
            raise NotFittedError("TALLRec has nothing to transfer before tune() or load()")
        other = copy.copy(self)
        other.catalogue, other.config = catalogue, self.config.model_copy(update={"domain": domain})
        other.witnesses = self.witnesses[:1]  # the share of likes knows no items
        other.fusion = self.fusion.model_copy(update={"weights": self.fusion.weights[: 1 + len(other.witnesses)]})
        other.reading = InstructReading(other)
        return other

    def _hashes(self) -> dict[str, str]:
        path = self.config.instructions
        return {} if path is None else {"instructions_hash": hashlib.sha256(Path(path).read_bytes()).hexdigest()}

    @classmethod
    def _of(cls, llm: str, witnesses: tuple[PointwiseModel, ...], config: PreferenceConfig) -> Self:
        return cls(llm, config)  # type: ignore[arg-type]

    def _prepare(self, split: PreferenceSplit, progress: Progress) -> PreferenceSplit:
        few = replace(split, train=tuple(shots(split, self.config.shots, self.seed)))
        counted = split if self.config.counts == "train" else few
        answers = set(labels(counted.train).tolist())
        self.witnesses = ()
        if self.config.fusion and self.config.counts != "none" and len(answers) == 2:
            self.witnesses = tuple(pointwise_models.get(name)().fit(counted) for name in ("like-share", "item-rate"))
        return few

    def _reading(self) -> Reading:
        return InstructReading(self)


def shots(split: PreferenceSplit, k: int | None, seed: int) -> list[Judgement]:
    """The first ``k`` training rows in an order drawn by the seed; all of them for None."""
    order = np.random.default_rng(seed).permutation(len(split.train))
    return [split.train[at] for at in order[: len(order) if k is None else k]]
