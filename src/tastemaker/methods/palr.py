"""PALR (Yang et al., 2023): a profile in words, a retriever's candidates, a tuned language model that ranks them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from tastemaker import artifacts, collab
from tastemaker.collab.base import CollaborativeModel
from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Case, Split
from tastemaker.errors import ArtifactError, ConfigError, NotFittedError, UsageError
from tastemaker.llm import adapters
from tastemaker.llm.base import LanguageModel
from tastemaker.llm.local import LocalLM
from tastemaker.methods import _palr_profile as profiles
from tastemaker.methods._palr_config import PALRConfig
from tastemaker.methods._palr_fusion import FEATURES, Weights, chosen, features, gain, pooled, retrieval_ceiling
from tastemaker.methods._palr_instructions import Instructions
from tastemaker.methods._palr_lists import Rates
from tastemaker.methods._palr_profile import Keyword, Keywords, Profile, counted_profile
from tastemaker.methods._palr_prompts import WORDS, names_of, room
from tastemaker.methods._palr_reading import ProfiledReading
from tastemaker.methods._parts import Base, arrays_of, require_fitted, restore, told
from tastemaker.methods._tuned import attached, pristine, settled
from tastemaker.methods.base import Method, MethodConfig, saved_catalogue
from tastemaker.prompts.prompt import Item as ItemText
from tastemaker.tuning import loop
from tastemaker.tuning.stages import Group
from tastemaker.types import FloatArray, Item, Progress, Query, quiet

__all__ = ["PALR", "Keyword", "PALRConfig", "Profile", "Rates", "counted_profile", "retrieval_ceiling"]

KIND = "palr"
_CHUNK = 256  # queries whose features over the whole catalogue are held together


class _Saved(BaseModel):
    """What ``palr.json`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: PALRConfig
    fusion: Weights
    seed: int
    collab: dict[str, Any]
    llm: Base


class PALR(Method):
    """A retriever proposes, a language model that knows history and profile ranks.

    ``PALR(llm="smollm2-135m", collab=sasrec).tune(split).rank(query)``. ``collab`` is the retriever: it must be fitted
    on the same split, and with a timeline it lends its item vectors. A language model that is not local can only be
    asked as it is, with candidates in the prompt.
    """

    Config: ClassVar[type[MethodConfig]] = PALRConfig
    config: PALRConfig
    collab: CollaborativeModel
    weights: Weights = Weights()
    """Of the fusion."""
    texts: FloatArray | None = None
    """``[item, e]``: what the titles say, as the timeline reads it."""
    seed: int = 0
    written: dict[str, Profile]
    """Profiles the language model has written, by a hash of the history they tell of; saved with the method."""
    _learning: bool = False
    """While it is tuned, it reads counted profiles: what it wrote half way would be kept."""

    def __init__(
        self, llm: str | LanguageModel, collab: CollaborativeModel, config: PALRConfig | None = None, **settings: Any
    ) -> None:
        """``llm``: a name or directory for `LocalLM.load`, or a loaded model, which the method then owns."""
        self.config = settled(PALRConfig, "PALR", config, settings)
        self.collab, self._llm, self.written = collab, llm, {}

    @classmethod
    def wants_vectors(cls, config: MethodConfig) -> bool:
        """A timeline holds them in its slots; prompts hold words only."""
        return isinstance(config, PALRConfig) and config.decode == "timeline"

    @property
    def scores_catalogue(self) -> bool:
        """A timeline's last state scores every item; a prompt that shows candidates answers for these alone."""
        return self.config.decode == "timeline"

    @property
    def llm(self) -> LocalLM:
        """The language model, which must be in this process. Raises `ConfigError`."""
        if not isinstance(self.lm, LocalLM):
            raise ConfigError(f'a {type(self.lm).__name__} cannot be tuned or read from; use decode="trie" or "free"')
        return self.lm

    @property
    def rates(self) -> Rates:
        """What the last freely written lists were made of."""
        return self.reading.rates if isinstance(self.reading, Instructions) else Rates()

    def tune(self, split: Split, *, seed: int = 0, run_dir: Path | None = None, progress: Progress = quiet) -> Self:
        """The same method, tuned on ``split.train``; with a timeline, the fusion is chosen on ``split.valid``."""
        require_fitted(self.collab, split.dataset, "retriever")
        self.seed, self.weights, self.written = seed, Weights(), {}
        self._load(split.dataset, progress)
        if isinstance(self.lm, LocalLM):
            rate = Group(attached(self.lm, self.config, seed), self.config.learning_rate)
            self.reading = self._read(fresh=True)
            self._learning = True
            try:
                for stage in self.reading.stages(split, rate):
                    loop.run(stage, seed=seed, run_dir=run_dir, progress=progress)
            finally:
                self._learning = False
            self.lm.model.eval()
        else:
            self.reading = self._read(fresh=True)
        self.weights = self._chosen_weights(split)
        return self

    def score(self, queries: Sequence[Query], *, progress: Progress = quiet) -> list[FloatArray]:
        """One array per query, aligned with its candidates; see `Method.score`. Raises `NotFittedError`."""
        self._require("has no scores")
        known = range(self.catalogue.n_items)
        queries = [replace(q, history=tuple(item for item in q.history if item in known)) for q in queries]
        if isinstance(self.reading, ProfiledReading):
            return self._fused(queries, progress)
        if not all(query.candidates for query in queries):
            raise UsageError(f'decode="{self.config.decode}" ranks candidates, not the catalogue; use a Recommender')
        words = [self.words(query) for query in queries]
        return self.reading.score(queries, words, self.collab.score_candidates(queries), progress)

    def profile(self, query: Query, *, written: bool | None = None) -> Profile:
        """What the user likes, with evidence; ``written`` asks the language model (None: as configured).

        What it wrote is kept for this history. If nothing of it holds, the profile is empty.
        """
        self._require("knows nobody")
        history = [item for item in query.history if 0 <= item < self.catalogue.n_items]
        if not (self.config.profile == "written" if written is None else written):
            return self.keywords.profile(history, self.config.keywords)
        key = hashlib.sha256(np.asarray(history, dtype="<i4").tobytes()).hexdigest()[:24]
        if key not in self.written:
            fits = room(self.lm, self.config.prompt_tokens, profiles.ANSWER)
            prompt = profiles.profile_prompt(self.keywords, self.names, history, WORDS[self.config.domain][0], fits)
            text = self.lm.generate([prompt], max_new_tokens=profiles.ANSWER, stop="}")[0] if history else ""
            self.written[key] = profiles.verified(text, self.keywords, self.names, history, self.config.keywords)
        return self.written[key]

    def counted(self, history: Sequence[int]) -> tuple[str, ...]:
        """The words of a history's counted profile, as training shows them."""
        if self.config.profile == "none":
            return ()
        return tuple(self.keywords.words[k] for k in self.keywords.best(history, self.config.keywords))

    def words(self, query: Query) -> tuple[str, ...]:
        """The words of the profile that stand in the query's prompt."""
        told = self.profile(query).words if self.config.profile == "written" and not self._learning else ()
        return told or self.counted(query.history)

    def ceiling(self, cases: Sequence[Case], n: int | None = None) -> float:
        """HR@N of the retriever: the share of cases whose right item is among its ``n``, which no ranker can exceed."""
        return retrieval_ceiling(self.collab, cases, n or self.config.n)

    def without_users(self) -> Self:
        """The same method without anything that was written about anybody."""
        other = super().without_users()
        other.written = {}
        return other

    def described(self, item: Item) -> ItemText:
        """The item's name and keywords: what a timeline reads of its text."""
        own = ", ".join(self.keywords.of_item(item)[:6])
        noun = WORDS[self.config.domain][0].capitalize()
        return ItemText(item, f"{noun}: {self.names[item]}. {own}".strip())

    @property
    def opening(self) -> str:
        """The first words of a timeline."""
        return f"{WORDS[self.config.domain][1].capitalize()} this user has chosen, in order:"

    @property
    def shows_vectors(self) -> bool:
        """Whether slots hold behaviour vectors."""
        return self.config.content != "text"

    def hybrid(self, share: float) -> bool:
        """The same throughout training: there is no curriculum here."""
        return self.shows_vectors

    def hit_rate(self, scores: FloatArray, cases: Sequence[Case]) -> float:
        """NDCG@10 over the whole catalogue, less what the user has seen."""
        scores = scores.copy()
        for row, case in zip(scores, cases, strict=True):
            own = row[case.positive]
            row[list(case.query.history)] = -np.inf
            row[case.positive] = own
        return gain(scores, np.array([case.positive for case in cases], dtype=np.int32))

    def facts(self, split: Split) -> dict[str, object]:
        """What must be the same for a stopped run to go on."""
        settings = self.config.model_dump(mode="json", exclude={"fusion", "n"} if self.scores_catalogue else set())
        vectors = self.collab.item_vectors if self.scores_catalogue else self.collab.item_counts
        digest = hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()
        about = {
            "split": split.hash,
            "llm": self.llm.fingerprint,
            "number_format": self.llm.number_format,
            "vectors": digest,
        }
        return {**about, **settings}

    def save(self, path: Path) -> None:
        """Adapters as peft saves them, what trains beside them, retriever and profiles; the base model by name."""
        self._require("has nothing to save")
        about, arrays = collab.packed(self.collab)
        saved = _Saved(config=self.config, fusion=self.weights, seed=self.seed, collab=about, llm=Base.of(self.llm))
        numbers = {item_id: number for number, item_id in enumerate(self.catalogue.items["item_id"])}
        artifacts.save(
            path,
            kind=KIND,
            arrays={
                "collab": arrays,
                **arrays_of(self.llm, self.reading.modules()),
                **({} if self.texts is None else {"texts": {"texts": self.texts}}),
            },
            json={"palr": saved.model_dump(mode="json"), "adapter_config": adapters.adapter_config(self.llm)},
            frames={"items": self.catalogue.items, "profiles": profiles.packed(self.written, numbers)},
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Undo ``save``. Raises `ArtifactError` if anything is damaged, or the base model is not the one tuned."""
        artifact = artifacts.load(path, KIND)
        about = told(artifact, "palr", _Saved, "PALR")
        retriever = collab.unpacked(about.collab, artifact.arrays("collab"), path)
        method = cls(about.llm.name, retriever, about.config)
        method.seed, method.weights = about.seed, about.fusion
        method._load(saved_catalogue(artifact, len(retriever.item_counts)), quiet)
        about.llm.require(method.llm, path)
        attached(method.llm, method.config, method.seed)
        adapters.load_adapter_state(method.llm, artifact.arrays("adapter_model"))
        method.texts = artifact.arrays("texts")["texts"] if "texts.safetensors" in artifact.names else None
        method.written = profiles.unpacked(
            artifact.frame("profiles"), method.catalogue.items["item_id"].to_list(), path
        )
        try:
            method.reading = method._read(fresh=False)
        except RuntimeError as error:
            raise ArtifactError(f"{path}: its parts do not fit together ({str(error).splitlines()[0]})") from error
        arrays = artifact.arrays("modules") if "modules.safetensors" in artifact.names else {}
        restore(method.reading.modules(), arrays, path)
        return method

    def _require(self, what: str) -> None:
        if not hasattr(self, "reading"):
            raise NotFittedError(f"PALR {what} before tune() or load()")

    def _load(self, catalogue: Dataset, progress: Progress) -> None:
        """The language model as it came, and the catalogue in words."""
        self.catalogue, self.keywords = catalogue, Keywords(catalogue)
        self.names = names_of(catalogue, limit=self.config.title_limit, ids=self.config.ids)
        layers = self.config.layers if self.config.decode == "timeline" else None
        llm = self._llm
        self.lm: LanguageModel = pristine(llm, layers, progress) if isinstance(llm, str | LocalLM) else llm

    def _read(self, *, fresh: bool) -> ProfiledReading | Instructions:
        """What answers; ``fresh``: titles are read anew."""
        if self.config.decode != "timeline":
            return Instructions(self)
        if fresh:
            self.texts = ProfiledReading.texts_of(self)
        return ProfiledReading(self, self.texts)

    def _features(self, queries: Sequence[Query], progress: Progress = quiet) -> FloatArray:
        answers = self.reading.answers(queries, progress)  # type: ignore[union-attr]
        seen = np.zeros((len(queries), self.catalogue.n_items), dtype=np.bool_)
        for row, query in zip(seen, queries, strict=True):
            row[list(query.history)] = True
        told = self.config.profile != "none"
        matches = self.keywords.matches([query.history if told else () for query in queries])
        popularity = np.log1p(self.collab.item_counts)
        return features(self.collab.score(queries), seen, popularity, answers, matches)

    def _fused(self, queries: Sequence[Query], progress: Progress) -> list[FloatArray]:
        found: list[FloatArray] = []
        for start in range(0, len(queries), _CHUNK):
            some = queries[start : start + _CHUNK]
            rows = self.weights.score(self._features(some, progress))
            found += [row[list(q.candidates)] if q.candidates else row for row, q in zip(rows, some, strict=True)]
        return found

    def _chosen_weights(self, split: Split) -> Weights:
        """The best weights for what the retriever proposes on validation; without it, all models alike."""
        if not isinstance(self.reading, ProfiledReading):
            return Weights()
        if not self.config.fusion:
            return Weights(retriever=0, model=0.5, told=0.5)
        if not split.valid:
            return Weights(model=0.5, told=0.5)
        pools, places = list[FloatArray](), list[int]()
        for start in range(0, len(split.valid), _CHUNK):
            cases = split.valid[start : start + _CHUNK]
            found = pooled(self._features([case.query for case in cases]), cases, self.config.n)
            pools += found[0]
            places += found[1]
        silent = {"told", "match"} if self.config.profile == "none" else set()
        heard = [name for name in FEATURES if name not in silent]
        return chosen(np.array(pools, np.float32), np.array(places, np.int32), heard) if pools else Weights()
