"""LLaRA (Liao et al., SIGIR 2024): items as title and behaviour vector in one prompt, tuned by curriculum."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tastemaker import artifacts, collab
from tastemaker.collab.base import CollaborativeModel
from tastemaker.config import build
from tastemaker.data.candidates import expected_hit
from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Case, Split
from tastemaker.errors import ArtifactError, ConfigError, NotFittedError, UsageError
from tastemaker.llm import adapters
from tastemaker.llm.local import LocalLM
from tastemaker.methods._choice import ChoiceReading
from tastemaker.methods._timeline import TimelineReading
from tastemaker.methods.base import Method, MethodConfig
from tastemaker.prompts.clean import clean, plain_title
from tastemaker.prompts.prompt import Item as ItemText
from tastemaker.tuning import loop
from tastemaker.tuning.stages import Group
from tastemaker.types import BoolArray, FloatArray, Item, Progress, Query, quiet

KIND = "llara"
FAITHFUL: dict[str, Any] = {
    "reading": "choice",
    "content": "hybrid",
    "fusion": False,
    "matched": False,
    "curriculum": "linear",
    "layers": None,
    "history": 10,
    "lora_dropout": 0.1,
    "lora_alpha": 32.0,
    "learning_rate": 2e-4,
    "epochs": 5.0,
    "batch_rows": 8,
    "accumulate": 16,
    "average": None,
    "attributes": False,
}
"""What the paper and its first release do (spec sections 1.4 to 1.7)."""
TEMPLATES = {
    "movie": ("movie", "watched", "movie titles"),
    "game": ("game", "played", "game titles"),
    "artist": ("artist", "listened to", "artist names"),
}
"""What one item is called, what users do with it, what candidates are called."""


class LLaRAConfig(MethodConfig):
    """Settings of LLaRA. ``mode="faithful"`` changes the defaults to the paper's; what is given stays as given."""

    mode: Literal["default", "faithful"] = "default"
    """``default`` is what validation chose; ``faithful`` is the paper's prompt, loss, curriculum and rates."""
    reading: Literal["timeline", "choice"] = "timeline"
    """``timeline``: one prompt per user, each position names the next item. ``choice``: candidates in the prompt."""
    content: Literal["hybrid", "text", "behaviour", "index"] = "behaviour"
    """What stands for an item: title and vector, title only, vector only, or its number (the paper's figure 4). On
    MovieLens validation, vectors alone were best in a timeline; ``hybrid`` also knows items nobody has touched."""
    curriculum: Literal["linear", "direct", "text", "two-stage", "released"] = "direct"
    """The chance that a batch is hybrid, over training: rising from 0 to 1, always 1, always 0, 0 then 1 after two
    fifths, or 0 to 0.2 in every epoch as the released code really does."""
    domain: Literal["movie", "game", "artist"] = "movie"
    """Which words the prompt uses."""
    attributes: bool = True
    """Whether genres and year follow the title."""
    text_size: int = Field(64, ge=1)
    """Width of the vectors that hold what titles say (``timeline``)."""
    fusion: bool = True
    """Whether the collaborative score has a say, with a weight chosen on validation."""
    matched: bool = True
    """Whether slot vectors are brought to the scale of the token embeddings (always so in ``timeline``)."""
    history: int = Field(50, ge=1)
    """Older items are not read."""
    positions: int = Field(64, ge=16)
    """Most positions of a timeline."""
    layers: int | None = Field(12, ge=1)
    """Depth of the language model that is used, counted from below; None: all of it."""
    candidates: int = Field(20, ge=2)
    """How many a training question offers (``choice``)."""
    least_history: int = Field(3, ge=1)
    """Shorter histories are not trained on (``choice``)."""
    lora_r: int = Field(8, ge=1)
    lora_alpha: float = Field(16.0, gt=0)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    """On the states the item head reads (``timeline``)."""
    learning_rate: float = Field(1e-3, gt=0)
    head_learning_rate: float = Field(2e-3, gt=0)
    """Of projector and item head (``timeline``)."""
    epochs: float = Field(5.0, ge=0)
    batch_positions: int = Field(2048, ge=64)
    """Positions in a micro-batch (``timeline``)."""
    batch_rows: int = Field(8, ge=1)
    """Prompts in a micro-batch (``choice``)."""
    accumulate: int = Field(1, ge=1)
    max_steps: int | None = Field(None, ge=0)
    """Ends ``choice`` early: an epoch of it takes hours on a laptop. 0 leaves the model untuned (zero-shot)."""
    average: float | None = Field(0.98, gt=0, lt=1)
    """Decay of the moving average of the parameters; None: none."""
    validate_every: int = Field(50, ge=1)
    validate_cases: int = Field(500, ge=1)
    """At most so many validation cases are asked each time, the same ones."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        faithful = isinstance(given, dict) and given.get("mode") == "faithful"
        return {**FAITHFUL, **given} if faithful else given


class _Base(BaseModel):
    """The language model an artefact needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: str


class _Saved(BaseModel):
    """What ``llara.json`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: LLaRAConfig
    weight: float = Field(ge=0, le=1)
    seed: int
    collab: dict[str, Any]
    llm: _Base


class LLaRA(Method):
    """A language model that reads histories as titles with behaviour vectors, and ranks candidates.

    ``LLaRA(llm="smollm2-135m", collab=sasrec).tune(split).score(queries)``. ``collab`` lends its frozen item vectors
    (and, with ``fusion``, its scores); it must be fitted on the same split.
    """

    Config: ClassVar[type[MethodConfig]] = LLaRAConfig
    config: LLaRAConfig
    collab: CollaborativeModel
    llm: LocalLM
    reading: TimelineReading | ChoiceReading
    texts: FloatArray | None = None
    """``[item, e]``: what the titles say, as the timeline reads it."""
    weight: float = 1.0
    """Share of the language model in the fused score."""
    seed: int = 0

    def __init__(
        self, llm: str | LocalLM, collab: CollaborativeModel, config: LLaRAConfig | None = None, **settings: Any
    ) -> None:
        """``llm``: a name or directory for `LocalLM.load`, or a loaded one, which the method then owns."""
        if config is not None and settings:
            raise ConfigError(f"LLaRA: give a config or settings ({', '.join(settings)}), not both")
        self.config = config if config is not None else build(LLaRAConfig, settings, where="llara: ")
        self.collab = collab
        self._llm = llm

    def tune(self, split: Split, *, seed: int = 0, run_dir: Path | None = None, progress: Progress = quiet) -> Self:
        """The same method, tuned on ``split.train``; what is best on ``split.valid`` is kept, and the fusion chosen."""
        if len(self.collab.known_items) != split.dataset.n_items:
            raise UsageError(f"the collaborative model was not fitted on {split.dataset.name}; fit it on this split")
        self.seed = seed
        self._load(split.dataset, progress)
        self.texts = self._reading().texts_of(self)
        rate = Group(self._attach(), self.config.learning_rate)
        self.reading = self._reading()(self, self.texts)
        for stage in self.reading.stages(split, rate):
            loop.run(stage, seed=seed, run_dir=run_dir, progress=progress)
        self.llm.model.eval()
        self.weight = self._chosen_weight(split)
        return self

    def score(self, queries: Sequence[Query], *, progress: Progress = quiet) -> list[FloatArray]:
        """One array per query, aligned with its candidates; see `Method.score`. Raises `NotFittedError`."""
        if not hasattr(self, "reading"):
            raise NotFittedError("LLaRA has no scores before tune() or load()")
        known = range(self.catalogue.n_items)
        queries = [replace(q, history=tuple(item for item in q.history if item in known)) for q in queries]
        if isinstance(self.reading, ChoiceReading):
            return self.reading.score(queries, progress)
        fused = self._fused(queries, self.weight, progress)
        return [row[list(q.candidates)] if q.candidates else row for row, q in zip(fused, queries, strict=True)]

    def generate(self, queries: Sequence[Query]) -> tuple[list[FloatArray], BoolArray]:
        """The released code's way to answer: free text. Scores (NaN: none) and which answers named one candidate."""
        if not isinstance(getattr(self, "reading", None), ChoiceReading):
            raise NotFittedError('only a tuned LLaRA with reading="choice" writes titles; use score()')
        return self.reading.generate(queries)  # type: ignore[union-attr]

    def hybrid(self, share: float) -> bool:
        """Whether the batch at this share of training shows vectors (section 3.4); draws from the step's generator."""
        phase = (share * max(self.config.epochs, 1.0)) % 1.0
        chance = {
            "linear": share,
            "direct": 1.0,
            "text": 0.0,
            "two-stage": float(share >= 0.4),
            "released": 0.2 * phase,
        }[self.config.curriculum]
        return self.config.content != "text" and float(torch.rand(())) < chance

    def title(self, item: Item) -> str:
        """The item's title as people say it, without year and inverted article."""
        title = clean(plain_title(self.catalogue.titles[item]))
        return title or f"untitled {self.catalogue.items['item_id'][item]}"

    def item_part(self, item: Item) -> ItemText:
        """What stands in a prompt for an item's text: its title, or its number (``content="index"``)."""
        return ItemText(item, f"#{item}" if self.config.content == "index" else self.title(item))

    def described(self, item: Item) -> ItemText:
        """The item's title and, with ``attributes``, year and genres."""
        row = self.catalogue.items.row(item, named=True) if self.config.attributes else {}
        year = f" ({row['year']})" if row.get("year") else ""
        genres = f". Genres: {', '.join(row['genres'])}" if row.get("genres") else ""
        return ItemText(item, f"{TEMPLATES[self.config.domain][0].capitalize()}: {self.title(item)}{year}{genres}.")

    @property
    def shows_vectors(self) -> bool:
        """Whether slots hold behaviour vectors once training is over."""
        return self.config.curriculum != "text" and self.config.content != "text"

    @property
    def opening(self) -> str:
        """The first words of a timeline."""
        noun, verb, _ = TEMPLATES[self.config.domain]
        return f"{noun.capitalize()}s this user has {verb}, in order:"

    @property
    def templates(self) -> tuple[str, ...]:
        """Three wordings, history and candidates at the bars; the paper draws one for each batch."""
        noun, verb, names = TEMPLATES[self.config.domain]
        shown = 10 if self.config.mode == "faithful" else self.config.candidates
        return (
            f"This user has {verb}| in the previous. Please predict the next {noun} this user will choose. "
            f"Choose the answer from the following {shown} {names}:|. Answer:",
            f"Given that the user has {verb}|, which {noun} comes next? Pick one of these {names}:|. Answer:",
            f"The user's history is|. Name the {noun} that follows, one of the {names}|. Answer:",
        )

    def hit_rate(self, scores: FloatArray, cases: Sequence[Case]) -> float:
        """Expected HR@1 among 20 candidates over all draws of the 19 others: validation without the luck of a draw."""
        return float(np.mean([expected_hit(row, case, 20) for row, case in zip(scores, cases, strict=True)]))

    def sample(self, cases: Sequence[Case]) -> list[Case]:
        """The validation cases that are asked, the same ones every time."""
        if len(cases) <= self.config.validate_cases:
            return list(cases)
        chosen = np.random.default_rng(0).choice(len(cases), self.config.validate_cases, replace=False)
        return [cases[i] for i in np.sort(chosen)]

    def facts(self, split: Split) -> dict[str, object]:
        """What must be the same for a stopped run to go on."""
        settings = self.config.model_dump(mode="json", exclude={"fusion"})  # which comes after
        vectors = hashlib.sha256(np.ascontiguousarray(self.collab.item_vectors).tobytes()).hexdigest()
        return {"split": split.hash, "llm": self.llm.fingerprint, "vectors": vectors, **settings}

    def save(self, path: Path) -> None:
        """Adapters as peft saves them, projector, head and collaborative model; the base model by name and hash."""
        if not hasattr(self, "reading"):
            raise NotFittedError("LLaRA has nothing to save before tune() or load()")
        about, arrays = collab.packed(self.collab)
        modules = {
            f"{m}.{n}": p for m, module in self.reading.modules().items() for n, p in module.state_dict().items()
        }
        llara = {"config": self.config.model_dump(mode="json"), "weight": self.weight, "seed": self.seed}
        artifacts.save(
            path,
            kind=KIND,
            arrays={
                "adapter_model": adapters.adapter_state(self.llm),
                "projector": {name: p.detach().cpu().numpy() for name, p in modules.items()},
                "collab": arrays,
                **({} if self.texts is None else {"texts": {"texts": self.texts}}),
            },
            json={
                "llara": {**llara, "collab": about, "llm": {"name": self.llm.name, "sha256": self.llm.fingerprint}},
                "adapter_config": adapters.adapter_config(self.llm),
            },
            frames={"items": self.catalogue.items},
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Undo ``save``. Raises `ArtifactError` if anything is damaged, or the base model is not the one tuned."""
        artifact = artifacts.load(path, KIND)
        try:
            about = _Saved.model_validate(artifact.json("llara"))
        except ValidationError as error:
            raise ArtifactError(f"{path}: not a LLaRA that this version knows ({error.errors()[0]['msg']})") from error
        name = about.llm.name
        method = cls(name, collab.unpacked(about.collab, artifact.arrays("collab"), path), about.config)
        method.seed, method.weight = about.seed, about.weight
        method._load(Dataset.of_items(artifact.frame("items")), quiet)
        if method.llm.fingerprint != about.llm.sha256:
            raise ArtifactError(f"{path}: was tuned on another {name} than the one installed; tune again")
        method._attach()
        adapters.load_adapter_state(method.llm, artifact.arrays("adapter_model"))
        method.texts = artifact.arrays("texts")["texts"] if "texts.safetensors" in artifact.names else None
        state = {name: torch.from_numpy(np.array(array)) for name, array in artifact.arrays("projector").items()}
        try:
            method.reading = method._reading()(method, method.texts)
            for part, module in method.reading.modules().items():
                own = {key.removeprefix(f"{part}."): t for key, t in state.items() if key.startswith(f"{part}.")}
                module.load_state_dict(own)
        except RuntimeError as error:
            raise ArtifactError(f"{path}: its parts do not fit together ({str(error).splitlines()[0]})") from error
        return method

    def _load(self, catalogue: Dataset, progress: Progress) -> None:
        """The language model as it came, cut to the depth asked for."""
        self.catalogue = catalogue
        self.llm = LocalLM.load(self._llm, progress=progress) if isinstance(self._llm, str) else self._llm
        adapters.detach(self.llm)
        if self.config.layers is not None:
            self.llm.keep_layers(self.config.layers)

    def _attach(self) -> dict[str, torch.nn.Parameter]:
        config = self.config
        generator = torch.Generator().manual_seed(self.seed)
        trained = adapters.attach(
            self.llm, r=config.lora_r, alpha=config.lora_alpha, dropout=config.lora_dropout, generator=generator
        )
        return {f"{number:04d}": parameter for number, parameter in enumerate(trained)}

    def _reading(self) -> type[TimelineReading] | type[ChoiceReading]:
        return TimelineReading if self.config.reading == "timeline" else ChoiceReading

    def _fused(self, queries: Sequence[Query], weight: float, progress: Progress = quiet) -> FloatArray:
        assert isinstance(self.reading, TimelineReading)  # noqa: S101 - for the type checker
        own = self.reading.score(queries, progress)
        if not self.config.fusion:
            return own
        return _standard(own) * np.float32(weight) + _standard(self.collab.score(queries)) * np.float32(1 - weight)

    def _chosen_weight(self, split: Split) -> float:
        """The share, in twentieths, with the best hit rate on all validation cases; 0 if the model adds nothing."""
        if not self.config.fusion or not split.valid or not isinstance(self.reading, TimelineReading):
            return 1.0
        queries = [case.query for case in split.valid]
        own, other = _standard(self.reading.score(queries)), _standard(self.collab.score(queries))
        tried = {
            w: self.hit_rate(own * np.float32(w) + other * np.float32(1 - w), split.valid)
            for w in np.linspace(0, 1, 21)
        }
        return float(max(tried, key=lambda w: tried[w]))


def _standard(scores: FloatArray) -> FloatArray:
    """Each row with mean 0 and deviation 1."""
    finite = np.where(np.isfinite(scores), scores, np.nan)
    mean, deviation = np.nanmean(finite, axis=1, keepdims=True), np.nanstd(finite, axis=1, keepdims=True)
    standard: FloatArray = ((scores - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32)
    return standard
