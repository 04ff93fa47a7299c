"""CoLLM (Zhang et al., TKDE 2025): will this user like this item? Titles and collaborative vectors in one prompt."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from tastemaker.data.preference import PreferenceSplit
from tastemaker.methods._asked import AskedReading
from tastemaker.methods._collm_prompts import PairReading
from tastemaker.methods._encoded import RELEASED, EncodedConfig, EncodedMethod
from tastemaker.methods._preference import PreferenceConfig, Reading
from tastemaker.methods._vectors import Learns
from tastemaker.types import Progress


class CoLLMConfig(EncodedConfig):
    """Settings of CoLLM. ``mode="faithful"`` changes the defaults to the paper's; what is given stays as given."""

    FAITHFUL: ClassVar[dict[str, Any]] = {
        **RELEASED,
        "reading": "prompt",
        "stage": "cie",
        "history": 10,
        "unknown": "zero",
        "matched": False,
        "pairwise": 0.0,
    }
    """What the paper and its released code do."""

    reading: Literal["timeline", "prompt"] = "timeline"
    """``timeline``: one sequence per user, every row answered where it stands. ``prompt``: the paper's, in words."""
    stage: Literal["text", "cie", "t1", "t2", "t3"] = "t3"
    """``text``: titles alone, the paper's TALLRec. ``cie``: that, then only the mapper of collaborative vectors.
    ``t1`` and ``t2``: as ``cie``, the encoder learning with the mapper, from where it is or anew. ``t3``: language
    model and mapper in one stage."""
    gate: bool = True
    """Whether the text stage answers where it was better on validation; with ``t3``, the same model shown titles
    alone, as it is in some of its training."""
    hidden: float = Field(0.2, ge=0, lt=1)
    """In how many of ``t3``'s batches collaborative knowledge is hidden (``timeline``)."""
    history: int = Field(64, ge=1)
    """At least so many and less than twice as many of the latest items are read (``timeline``), or so many liked
    ones (``prompt``)."""
    unknown: Literal["drop", "zero"] = "drop"
    """What stands for users and items the encoder never saw: nothing, or a zero vector (``prompt``)."""
    matched: bool = True
    """Whether slot vectors are brought to the scale of the token embeddings (always so in ``timeline``)."""
    soft: bool = False
    """Free vectors for the user and the item before the text, adapters learning with them: a soft prompt
    (``prompt``)."""
    text_size: int = Field(64, ge=1)
    """Width of the vectors that hold what titles say (``timeline``)."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """On collaborative vectors: the encoder has seen the training rows, and would be believed too much."""
    pairwise: float = Field(0.5, ge=0)
    """Weight of the order of a user's own rows beside their labels (``timeline``)."""
    head_learning_rate: float = Field(2e-3, gt=0)
    """Of mapper and readout."""
    encoder_learning_rate: float = Field(1e-3, gt=0)
    """Of the encoder, in ``t1`` and ``t2``."""
    batch_positions: int = Field(2048, ge=64)
    """Positions in a micro-batch (``timeline``)."""


class CoLLM(EncodedMethod):
    """A language model told what collaborative filtering knows, as vectors among the words.

    ``CoLLM(llm="smollm2-135m", collab=mf).tune(split).score(queries)``. ``collab`` is a fitted `PointwiseModel` with
    vectors. With ``fusion`` the score is a logistic regression, learned on validation, over the language model's
    log-odds, those of the encoder, the item's rate in training, how many liked it, how items of like years and genres
    were liked, and the user's rate: the one in training where the split shows likes only, the one in the history where
    it shows all labels.
    """

    Config: ClassVar[type[PreferenceConfig]] = CoLLMConfig
    config: CoLLMConfig
    kind: ClassVar[str] = "collm"

    @property
    def learns(self) -> Learns:
        """What happens to the encoder while the mapper is tuned."""
        learned: dict[str, Learns] = {"t1": "further", "t2": "anew"}
        return learned.get(self.config.stage, "nothing")

    def _prepare(self, split: PreferenceSplit, progress: Progress) -> PreferenceSplit:
        split = super()._prepare(split, progress)
        if self.config.reading == "timeline":
            self.tables = AskedReading.tables_of(self, split)
        return split

    def _ways(self) -> tuple[bool, ...]:
        if self.config.stage == "text":
            return (False,)
        # What hides nothing in tuning cannot answer without.
        hides = self.config.stage != "t3" or (self.config.reading == "timeline" and self.config.hidden > 0)
        return (True, False) if self.config.gate and hides else (True,)

    def _reading(self) -> Reading:
        return AskedReading(self) if self.config.reading == "timeline" else PairReading(self)
