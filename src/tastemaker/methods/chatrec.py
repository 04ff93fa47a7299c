"""Chat-REC (Gao et al., 2023): a language model, as it comes, re-ranks a retriever's candidates from one prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from tastemaker import artifacts, collab
from tastemaker.collab.base import CollaborativeModel
from tastemaker.config import build
from tastemaker.data.split import Case, Split
from tastemaker.errors import ArtifactError, ConfigError, NotFittedError, UsageError
from tastemaker.llm.base import LanguageModel
from tastemaker.llm.local import LocalLM
from tastemaker.llm.sentences import DEFAULT, SentenceEncoder
from tastemaker.methods._chat_prompt import Scene, ranking_prompt
from tastemaker.methods._nearness import item_vectors, nearness
from tastemaker.methods._parts import Base, require_fitted, told
from tastemaker.methods.base import Method, MethodConfig, saved_catalogue
from tastemaker.prompts.clean import plain_title
from tastemaker.prompts.prompt import Item as Title
from tastemaker.prompts.prompt import Prompt
from tastemaker.types import FloatArray, Item, Progress, Query, User, quiet

KIND = "chatrec"
Question = tuple[Query, set[Item]]
"""What is asked, and all that is right."""
_BATCH = 8  # queries whose prompts are scored at once
_CLEAR, _LIKELY = 2.0, 1.0
"""Standard errors by which a weight must help: the model's, which costs a prompt a question and is chosen by few of
them, and that of nearness, which costs next to nothing."""
_TOP = 5  # places that the weight is chosen by
_TOLD = ("age", "gender", "occupation")  # of a user, in the prompt


class ChatRecConfig(MethodConfig):
    """What the prompt shows, and how much it counts."""

    hint: bool = True
    """Whether the prompt names the retriever's first choice as the one to begin with, as the paper's does."""
    candidates: int = Field(20, ge=2, le=100)
    """The retriever's best that the model re-ranks; further ones stay behind them, in the retriever's order."""
    max_history: int = Field(20, ge=1)
    noun: str = "film"
    weight: float | None = Field(None, ge=0)
    """Of the model's scores beside the retriever's; None: chosen on validation, 0 unless it clearly helps."""
    weights: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)
    """What is tried."""
    validate_cases: int = Field(100, ge=1)
    """Questions by which the model's weight is chosen, each a prompt; ``nearness`` is chosen by all there are."""
    encoder: str | None = DEFAULT
    """The sentence encoder whose vectors tell how near candidates are to the history; None: none."""
    nearness: float | None = Field(None, ge=0)
    """Of that beside the retriever's scores; None: chosen on validation, 0 unless it clearly helps."""


class _Saved(BaseModel):
    """What ``chatrec.json`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: ChatRecConfig
    weight: float
    nearness: float
    collab: dict[str, Any]
    llm: Base


class ChatRec(Method):
    """History, profile and candidates in one prompt, each candidate scored as its answer; no training.

    ``ChatRec(llm="smollm2-135m", collab=lightgcn).tune(split).score(queries)``; tuning chooses two numbers: how much
    the language model counts beside the retriever, and how much nearness in meaning to the history does.
    """

    Config: ClassVar[type[MethodConfig]] = ChatRecConfig
    config: ChatRecConfig
    weight: float
    nearness: float
    vectors: FloatArray
    """``[item, size]`` of titles and attributes; of size 0 without an encoder."""
    users: pl.DataFrame
    """Row i is what prompts tell of user i; saved with the method."""

    def __init__(self, llm: str | LanguageModel, collab: CollaborativeModel, **settings: Any) -> None:
        """``llm``: a name or directory for `LocalLM.load`, or a model, which may be remote if it tells scores."""
        self.config = build(ChatRecConfig, settings, where="chatrec: ")
        self.collab, self._llm = collab, llm

    @property
    def llm(self) -> LanguageModel:
        """The language model, loaded when it is first needed."""
        if isinstance(self._llm, str):
            self._llm = LocalLM.load(self._llm)
        return self._llm

    @property
    def concurrent(self) -> bool:
        """Where its language model is."""
        return isinstance(self._llm, LanguageModel) and self._llm.concurrent

    def tune(self, split: Split, *, seed: int = 0, run_dir: Path | None = None, progress: Progress = quiet) -> Self:
        """The same method with its two weights: as configured, or the surest on ``split.valid``."""
        require_fitted(self.collab, split.dataset, "retriever")
        self.catalogue, config = split.dataset, self.config
        self.users = split.dataset.users.select(pl.col(name) for name in _TOLD if name in split.dataset.users.columns)
        self.vectors = self._encoded(progress)
        self.nearness, self.weight = config.nearness or 0.0, config.weight or 0.0
        asked = questions(split.valid)
        asked = [asked[i] for i in np.random.default_rng(seed).permutation(len(asked)).tolist()]
        if config.nearness is None and self.vectors.size:
            self.nearness = self._chosen(asked, self._near, _LIKELY)
        if config.weight is None:
            self.weight = self._chosen(
                asked[: config.validate_cases], lambda queries: self._told(queries, progress, "weight"), _CLEAR
            )
        return self

    def score(self, queries: Sequence[Query], *, progress: Progress = quiet) -> list[FloatArray]:
        """One array per query, aligned with its candidates, of which there must be some. Raises `NotFittedError`."""
        self._require("has no scores")
        if not all(query.candidates for query in queries):
            raise UsageError("chatrec ranks candidates, not the catalogue; use a Recommender")
        return self._fused(queries, self.weight, progress)

    def prompt(self, query: Query, candidates: Sequence[Item]) -> Prompt:
        """The prompt in which these candidates are to be ranked, the retriever's best first."""
        history = [item for item in query.history if 0 <= item < self.catalogue.n_items][-self.config.max_history :]
        scene = Scene(
            history=[self._title(item) for item in history],
            candidates=[self._title(item) for item in candidates],
            profile=self._profile(query.user),
            wish=query.text or "",
            hint=self._title(candidates[0]) if self.config.hint else None,
            noun=self.config.noun,
        )
        return ranking_prompt(scene, self.llm, answer=64)

    def save(self, path: Path) -> None:
        """Settings, weight, retriever, items and what is told of users; the language model by name and hash."""
        self._require("has nothing to save")
        if not isinstance(self.llm, LocalLM):
            raise ConfigError("only a chatrec over a local language model can be saved")
        about, arrays = collab.packed(self.collab)
        saved = _Saved(
            config=self.config, weight=self.weight, nearness=self.nearness, collab=about, llm=Base.of(self.llm)
        )
        json = {"chatrec": saved.model_dump(mode="json")}
        artifacts.save(
            path,
            kind=KIND,
            arrays={"collab": arrays, "texts": {"vectors": self.vectors}},
            json=json,
            frames={"items": self.catalogue.items, **({"users": self.users} if self.users.height else {})},
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Undo ``save``. Raises `ArtifactError`."""
        artifact = artifacts.load(path, KIND)
        about = told(artifact, "chatrec", _Saved, "ChatRec")
        retriever = collab.unpacked(about.collab, artifact.arrays("collab"), path)
        method = cls(about.llm.name, retriever, **about.config.model_dump())
        if isinstance(method.llm, LocalLM):
            about.llm.require(method.llm, path)
        method.catalogue = saved_catalogue(artifact, len(retriever.item_counts))
        method.weight, method.nearness = about.weight, about.nearness
        method.users = artifact.frame("users") if "users.parquet" in artifact.names else pl.DataFrame()
        method.vectors = np.array(artifact.arrays("texts")["vectors"], dtype=np.float32)
        if len(method.vectors) != method.catalogue.n_items:
            raise ArtifactError(f"{path}: has vectors of {len(method.vectors)} items; save it again")
        return method

    def without_users(self) -> Self:
        """The same method without what it tells of anybody."""
        other = super().without_users()
        other.users = self.users.clear()
        return other

    def _fused(self, queries: Sequence[Query], weight: float, progress: Progress) -> list[FloatArray]:
        priors = self.collab.score_candidates(queries)
        tops = [np.argsort(-_spread(prior), kind="stable")[: self.config.candidates].tolist() for prior in priors]
        # In units of those shown, as when the weights were chosen: how many stand behind them changes nothing.
        priors = [_spread(prior, top) for prior, top in zip(priors, tops, strict=True)]
        shown = [_only(query, top) for query, top in zip(queries, tops, strict=True)]
        told = [np.zeros(len(top), dtype=np.float32) for top in tops]
        if self.nearness:
            told = [self.nearness * near for near in self._near(shown)]
        if weight:
            told = [one + weight * said for one, said in zip(told, self._told(shown, progress), strict=True)]
        else:
            progress("scoring", len(queries), len(queries))
        return [_joined(prior, top, one) for prior, top, one in zip(priors, tops, told, strict=True)]

    def _encoded(self, progress: Progress) -> FloatArray:
        if self.config.encoder is None or self.config.nearness == 0:
            return np.zeros((self.catalogue.n_items, 0), dtype=np.float32)
        return item_vectors(self.catalogue, SentenceEncoder.load(self.config.encoder), progress)

    def _near(self, queries: Sequence[Query]) -> list[FloatArray]:
        """Per query, how near its candidates are to its history, in units of the spread."""
        return [_spread(nearness(self.vectors, query.history, query.candidates)) for query in queries]

    def _told(self, queries: Sequence[Query], progress: Progress, task: str = "scoring") -> list[FloatArray]:
        """Per query, the language model's score of each of its candidates, in units of the spread."""
        found: list[FloatArray] = []
        for start in range(0, len(queries), _BATCH):
            some = queries[start : start + _BATCH]
            prompts = [self.prompt(query, query.candidates) for query in some]
            answers = [[Prompt.of(self._title(item), "\n") for item in query.candidates] for query in some]
            found += [_spread(scores) for scores in self.llm.score(prompts, answers)]
            progress(task, len(found), len(queries))
        return found

    def _chosen(
        self, asked: Sequence[Question], more: Callable[[Sequence[Query]], list[FloatArray]], clear: float
    ) -> float:
        """The weight whose gain in NDCG is surest, less ``clear`` of its standard errors; 0 if none is left."""
        shown = [(self._candidates(query), answers) for query, answers in asked]
        shown = [(query, answers) for query, answers in shown if answers & {*query.candidates}]
        if not shown:
            return 0.0
        queries = [query for query, _ in shown]
        before = self._fused(queries, 0.0, quiet)
        told = more(queries)
        gains = {
            weight: np.array(
                [
                    _gain(own + weight * one, query.candidates, answers)
                    for own, one, (query, answers) in zip(before, told, shown, strict=True)
                ]
            )
            for weight in (0.0, *self.config.weights)
        }
        sure = {weight: _least(gain - gains[0.0], clear) for weight, gain in gains.items()}
        return max(sure, key=lambda weight: sure[weight])

    def _candidates(self, query: Query) -> Query:
        scores = self.collab.score([query])[0].copy()
        scores[[item for item in query.history if 0 <= item < len(scores)]] = -np.inf
        best = np.argsort(-scores, kind="stable")[: self.config.candidates]
        return Query(query.history, tuple(Item(int(i)) for i in best), query.user, text=query.text)

    def _title(self, item: Item) -> Title:
        return Title(item, plain_title(self.catalogue.titles[item]))

    def _profile(self, user: User | None) -> dict[str, str]:
        if user is None or user >= self.users.height:
            return {}
        row = self.users.row(user, named=True)
        return {name: str(value) for name, value in row.items() if name in _TOLD and value}

    def _require(self, what: str) -> None:
        if not hasattr(self, "weight"):
            raise NotFittedError(f"this chatrec {what} yet; call tune(split) first")


def questions(cases: Sequence[Case]) -> list[Question]:
    """Each query once, with all that is right."""
    found: dict[Query, set[Item]] = {}
    for case in cases:
        found.setdefault(case.query, set()).add(case.positive)
    return list(found.items())


def _only(query: Query, top: Sequence[int]) -> Query:
    """The query with these of its candidates."""
    return replace(query, candidates=tuple(query.candidates[i] for i in top))


def _joined(prior: FloatArray, top: Sequence[int], told: FloatArray) -> FloatArray:
    """``[candidate]``: those shown by both scores; the rest below, as they were."""
    fused = prior.copy()
    ahead = fused[list(top)] + told
    rest = np.setdiff1d(np.arange(len(prior)), top)
    if len(rest):
        fused[rest] -= max(0.0, float(fused[rest].max() - ahead.min())) + 1e-3
    fused[list(top)] = ahead
    return fused


def _gain(scores: FloatArray, items: Sequence[Item], answers: set[Item]) -> float:
    """NDCG of the first places."""
    worth = 1 / np.log2(np.arange(_TOP) + 2)
    hits = [items[i] in answers for i in np.argsort(-scores, kind="stable")[:_TOP]]
    return float(worth[: len(hits)] @ np.array(hits) / worth[: min(_TOP, len(answers))].sum())


def _least(gains: Any, clear: float) -> float:
    """What the mean gain is at least, as far as so few questions can tell."""
    return float(gains.mean() - clear * gains.std() / len(gains) ** 0.5)


def _spread(scores: FloatArray, among: Sequence[int] | None = None) -> FloatArray:
    """In units of the scores' own spread, or of that ``among`` some of them."""
    known = scores if among is None else scores[np.sort(among)]
    deviation = float(known.std())
    spread: FloatArray = ((scores - known.mean()) / (deviation or 1.0)).astype(np.float32)
    return spread
