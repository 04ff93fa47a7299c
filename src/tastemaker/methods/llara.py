"""LLaRA (Liao et al., SIGIR 2024): items as title and behaviour vector in one prompt, tuned by curriculum."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from tastemaker import artifacts, collab
from tastemaker.collab.base import CELLS, CollaborativeModel
from tastemaker.data.candidates import expected_hit
from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Case, Split
from tastemaker.errors import ArtifactError, NotFittedError
from tastemaker.llm import adapters
from tastemaker.llm.local import LocalLM
from tastemaker.methods._choice import ChoiceReading
from tastemaker.methods._parts import Base, arrays_of, require_fitted, restore, told
from tastemaker.methods._scores import standard
from tastemaker.methods._timeline import TimelineConfig, TimelineReading
from tastemaker.methods._tuned import attached, pristine, settled
from tastemaker.methods.base import Method, MethodConfig, saved_catalogue
from tastemaker.prompts.clean import clean, plain_title
from tastemaker.prompts.prompt import Item as ItemText
from tastemaker.tuning import loop
from tastemaker.tuning.stages import Group
from tastemaker.types import BoolArray, FloatArray, Item, Progress, Query, quiet

KIND = "llara"
TEMPLATES = {
    "movie": ("movie", "watched", "watch", "movie titles"),
    "game": ("game", "played", "play", "game titles"),
    "artist": ("artist", "listened to", "listen to", "artist names"),
}
"""What one item is called, what users have done with it and will do, what candidates are called."""


class LLaRAConfig(TimelineConfig):
    """Settings of LLaRA. ``mode="faithful"`` changes the defaults to the paper's; what is given stays as given."""

    FAITHFUL: ClassVar[dict[str, Any]] = {
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
    """What the paper and its first release do: prompt, loss, curriculum and rates."""

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
    matched: bool = True
    """Whether slot vectors are brought to the scale of the token embeddings (always so in ``timeline``)."""
    candidates: int = Field(20, ge=2)
    """How many a training question offers (``choice``)."""
    least_history: int = Field(3, ge=1)
    """Shorter histories are not trained on (``choice``)."""
    batch_rows: int = Field(8, ge=1)
    """Prompts in a micro-batch (``choice``), an epoch of which takes hours on a laptop: see ``max_steps``."""


class _Saved(BaseModel):
    """What ``llara.json`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: LLaRAConfig
    weight: float = Field(ge=0, le=1)
    seed: int
    collab: dict[str, Any]
    llm: Base


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
        self.config = settled(LLaRAConfig, "LLaRA", config, settings)
        self.collab, self._llm = collab, llm

    @classmethod
    def wants_vectors(cls, config: MethodConfig) -> bool:
        """Always: they are what a slot holds."""
        return True

    @property
    def scores_catalogue(self) -> bool:
        """A timeline's last state scores every item; a prompt that shows candidates answers for these alone."""
        return self.config.reading == "timeline"

    @property
    def probabilities(self) -> bool:
        """Not once they are standardised and mixed with the collaborative model's."""
        return self.config.reading == "choice" or not self.config.fusion

    def tune(self, split: Split, *, seed: int = 0, run_dir: Path | None = None, progress: Progress = quiet) -> Self:
        """The same method, tuned on ``split.train``; what is best on ``split.valid`` is kept, and the fusion chosen."""
        require_fitted(self.collab, split.dataset)
        self.seed = seed
        self._load(split.dataset, progress)
        self.texts = self._reading().texts_of(self)
        rate = Group(attached(self.llm, self.config, seed), self.config.learning_rate)
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
        found: list[FloatArray] = []
        for start in range(0, len(queries), self._at_once):
            some = queries[start : start + self._at_once]
            rows = zip(self._fused(some, self.weight, progress), some, strict=True)
            found += [row[list(q.candidates)] if q.candidates else row for row, q in rows]
        return found

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
        noun, verb, _, _ = TEMPLATES[self.config.domain]
        return f"{noun.capitalize()}s this user has {verb}, in order:"

    @property
    def templates(self) -> tuple[str, ...]:
        """Three wordings, history and candidates at the bars, drawn for each training batch. The first is the paper's.

        In the released files the first, for films, and the second speak of 10 names where 20 are shown.
        """
        noun, done, will_do, names = TEMPLATES[self.config.domain]
        n, ten = self.config.candidates, 10 if self.config.mode == "faithful" else self.config.candidates
        return (
            f"This user has {done}| in the previous. Please predict the next {noun} this user will {will_do}. "
            f"Choose the answer from the following {ten if noun == 'movie' else n} {names}:|. Answer:",
            f"Given that the user has {done}|, which {noun} comes next? Pick one of these {ten} {names}:|. Answer:",
            f"The user's history is|. Name the {noun} that follows, one of the {names}|. Answer:",
        )

    def hit_rate(self, scores: FloatArray, cases: Sequence[Case]) -> float:
        """Expected HR@1 among 20 candidates over all draws of the 19 others: validation without the luck of a draw."""
        return float(np.mean([expected_hit(row, case, 20) for row, case in zip(scores, cases, strict=True)]))

    def facts(self, split: Split) -> dict[str, object]:
        """What must be the same for a stopped run to go on."""
        settings = self.config.model_dump(mode="json", exclude={"fusion"})  # which comes after
        vectors = hashlib.sha256(np.ascontiguousarray(self.collab.item_vectors).tobytes()).hexdigest()
        return {
            "split": split.hash,
            "llm": self.llm.fingerprint,
            "number_format": self.llm.number_format,
            "vectors": vectors,
            **settings,
        }

    def save(self, path: Path) -> None:
        """Adapters as peft saves them, projector, head and collaborative model; the base model by name and hash."""
        if not hasattr(self, "reading"):
            raise NotFittedError("LLaRA has nothing to save before tune() or load()")
        about, arrays = collab.packed(self.collab)
        saved = _Saved(config=self.config, weight=self.weight, seed=self.seed, collab=about, llm=Base.of(self.llm))
        artifacts.save(
            path,
            kind=KIND,
            arrays={
                **arrays_of(self.llm, self.reading.modules(), "projector"),
                "collab": arrays,
                **({} if self.texts is None else {"texts": {"texts": self.texts}}),
            },
            json={"llara": saved.model_dump(mode="json"), "adapter_config": adapters.adapter_config(self.llm)},
            frames={"items": self.catalogue.items},
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Undo ``save``. Raises `ArtifactError` if anything is damaged, or the base model is not the one tuned."""
        artifact = artifacts.load(path, KIND)
        about = told(artifact, "llara", _Saved, "LLaRA")
        method = cls(about.llm.name, collab.unpacked(about.collab, artifact.arrays("collab"), path), about.config)
        method.seed, method.weight = about.seed, about.weight
        method._load(saved_catalogue(artifact, len(method.collab.item_counts)), quiet)
        about.llm.require(method.llm, path)
        attached(method.llm, method.config, method.seed)
        adapters.load_adapter_state(method.llm, artifact.arrays("adapter_model"))
        method.texts = artifact.arrays("texts")["texts"] if "texts.safetensors" in artifact.names else None
        try:
            method.reading = method._reading()(method, method.texts)
        except RuntimeError as error:
            raise ArtifactError(f"{path}: its parts do not fit together ({str(error).splitlines()[0]})") from error
        restore(method.reading.modules(), artifact.arrays("projector"), path)
        return method

    def _load(self, catalogue: Dataset, progress: Progress) -> None:
        """The language model as it came, cut to the depth asked for."""
        self.catalogue = catalogue
        self.llm = pristine(self._llm, self.config.layers, progress)

    def _reading(self) -> type[TimelineReading] | type[ChoiceReading]:
        return TimelineReading if self.config.reading == "timeline" else ChoiceReading

    def _fused(self, queries: Sequence[Query], weight: float, progress: Progress = quiet) -> FloatArray:
        assert isinstance(self.reading, TimelineReading)  # noqa: S101 - for the type checker
        own = self.reading.score(queries, progress)
        if not self.config.fusion:
            return own
        return standard(own) * np.float32(weight) + standard(self.collab.score(queries)) * np.float32(1 - weight)

    def _chosen_weight(self, split: Split) -> float:
        """The share, in twentieths, with the best hit rate on all validation cases; 0 if the model adds nothing."""
        if not self.config.fusion or not split.valid or not isinstance(self.reading, TimelineReading):
            return 1.0
        tried: dict[float, float] = dict.fromkeys(np.linspace(0, 1, 21).tolist(), 0.0)
        for start in range(0, len(split.valid), self._at_once):
            cases = split.valid[start : start + self._at_once]
            queries, share = [case.query for case in cases], len(cases) / len(split.valid)
            own, other = standard(self.reading.score(queries)), standard(self.collab.score(queries))
            for w in tried:
                tried[w] += share * self.hit_rate(own * np.float32(w) + other * np.float32(1 - w), cases)
        return max(tried, key=lambda w: tried[w])

    @property
    def _at_once(self) -> int:
        """How many queries' scores over the whole catalogue are held together."""
        return max(1, CELLS // self.catalogue.n_items)
