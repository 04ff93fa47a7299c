"""What methods that answer yes or no share: settings, tuning by stages, gate and fusion, saving and loading."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from tastemaker import artifacts, collab, processes
from tastemaker.collab import pointwise
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.config import build
from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import Judgement, PreferenceSplit, labels, require_both
from tastemaker.errors import ArtifactError, ConfigError, NotFittedError, UsageError
from tastemaker.llm import adapters
from tastemaker.llm.local import LocalLM
from tastemaker.methods import _fusion
from tastemaker.methods._answers import answer_tokens
from tastemaker.methods._fusion import Fusion
from tastemaker.methods._parts import Array, Base, arrays_of, restore, told
from tastemaker.methods._tuned import TunedConfig, attached, pristine, settled
from tastemaker.methods.base import Method, saved_catalogue
from tastemaker.prompts.clean import clean
from tastemaker.prompts.prompt import Item as ItemText
from tastemaker.tuning import loop
from tastemaker.tuning.stages import Group, Stage
from tastemaker.types import FloatArray, IntArray, Item, Progress, Query, quiet


class PreferenceConfig(TunedConfig):
    """Settings that all of them have."""

    domain: Literal["movie", "book"] = "movie"
    """Which words prompts use."""
    answers: tuple[str, str] = (" Yes", " No")
    """What a user who likes an item is made to say, and one who does not, as they follow a prompt's last word."""
    fusion: bool = True
    """Whether counting has a say, with weights learned on validation."""
    lora_targets: tuple[str, ...] | None = None
    """Names of the layers that have adapters; None: all linear ones."""
    epochs: float = Field(6.0, ge=0)
    validate_every: int = Field(25, ge=1)
    validate_rows: int = Field(4000, ge=1)
    """Validation asks whole users, as many as have so many rows together, the same ones every time."""


class Reading(Protocol):
    """How questions become passes through the language model."""

    def modules(self) -> dict[str, nn.Module]:
        """What is saved beside the adapters."""

    def stages(self, split: PreferenceSplit, adapters: Group) -> list[Stage]:
        """What trains, in order."""

    def score(self, queries: Sequence[Query], *, shown: bool, progress: Progress = quiet) -> list[FloatArray]:
        """Log-odds per candidate; ``shown``: with what a collaborative model knows, if it has a place for it."""


class _Saved(BaseModel):
    """What ``method.json`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: dict[str, Any]
    fusion: Fusion
    shown: bool
    facts: dict[str, bool]
    seed: int
    witnesses: tuple[dict[str, Any], ...]
    llm: Base


class PreferenceMethod(Method):
    """A language model that answers whether a user will like an item: log-odds, tuned on labelled rows.

    A subclass sets ``Config`` and ``kind`` and writes ``_prepare`` and ``_reading``.
    """

    Config: ClassVar[type[PreferenceConfig]] = PreferenceConfig
    config: PreferenceConfig
    kind: ClassVar[str]
    encodes: ClassVar[bool] = False
    """Whether it is made over a `PointwiseModel` that lends it vectors."""
    usual: ClassVar[str] = ""
    """That model's name, where none is named."""
    llm: LocalLM
    reading: Reading
    tokens: tuple[int, int]
    """Of the two answers."""
    witnesses: tuple[PointwiseModel, ...] = ()
    """What fusion hears beside the language model."""
    fusion: Fusion
    tables: dict[str, Array]
    """What was read once per catalogue."""
    facts: dict[str, bool]
    """What the reading must know of the split it was tuned on."""
    shown: bool = True
    """Whether collaborative knowledge is shown: False where the text stage was better on validation."""
    seed: int = 0

    def __init__(self, llm: str | LocalLM, config: PreferenceConfig | None, settings: dict[str, Any]) -> None:
        """``llm``: a name or directory for `LocalLM.load`, or a loaded one, which the method then owns."""
        self.config = settled(self.Config, type(self).__name__, config, settings)
        self._llm, self.tables, self.facts, self.fusion = llm, {}, {}, Fusion()

    @property
    def probabilities(self) -> bool:
        """Scores are log-odds."""
        return True

    def tune(  # type: ignore[override]
        self, split: PreferenceSplit, *, seed: int = 0, run_dir: Path | None = None, progress: Progress = quiet
    ) -> Self:
        """The same method, tuned on ``split.train``; what is best on ``split.valid`` is kept, gate and fusion too.

        Raises `DataError` where training has one kind of answer only.
        """
        require_both(split)
        self.seed, self.shown = seed, True
        self._load(split.dataset, progress)
        split = self._prepare(split, progress)
        trained = self._attach()
        self.reading = self._reading()
        frozen = [*trained.values(), *(p for m in self.reading.modules().values() for p in m.parameters())]
        for stage in self.reading.stages(split, Group(trained, self.config.learning_rate)):
            for parameter in frozen:
                parameter.requires_grad_(False)  # the loop switches on what the stage trains
            loop.run(stage, seed=seed, run_dir=run_dir, progress=progress)
        self.llm.model.eval()
        self._choose(split.valid)
        return self

    def score(self, queries: Sequence[Query], *, progress: Progress = quiet) -> list[FloatArray]:
        """Log-odds per candidate of each query; the whole catalogue where it has none. Raises `NotFittedError`."""
        if not hasattr(self, "reading"):
            raise NotFittedError(f"{type(self).__name__} has no scores before tune() or load()")
        asked = [self.known(query) for query in queries]
        own = self.reading.score(asked, shown=self.shown, progress=progress)
        return self._fused(asked, own, self.fusion)

    def told(self) -> str:
        """What validation chose, in a few words."""
        names = ["language model", *(pointwise.models.name_of(type(one)) for one in self.witnesses)]
        weights = ", ".join(f"{name} {w:.2f}" for name, w in zip(names, self.fusion.weights, strict=True))
        gate = "" if self.shown or len(self._ways()) == 1 else "the text stage answers; "
        return f"{gate}weights: {weights}" if self.config.fusion else gate.removesuffix("; ")

    def known(self, query: Query) -> Query:
        """The query with candidates, and with a history that holds nothing but items of the catalogue.

        Raises `UsageError` for a candidate that the catalogue does not have.
        """
        n_items = self.catalogue.n_items
        for item in query.candidates:
            if not 0 <= item < n_items:
                raise UsageError(f"candidate {item} is no item of the catalogue; its {n_items:,} are numbered from 0")
        places = [place for place, item in enumerate(query.history) if 0 <= item < n_items]
        history = tuple(query.history[place] for place in places)
        likes = tuple(query.likes[place] for place in places) if query.likes else ()
        candidates = query.candidates or tuple(Item(item) for item in range(n_items))
        return replace(query, history=history, likes=likes, candidates=candidates)

    def title(self, item: Item) -> ItemText:
        """What stands for an item in a prompt, the year of a film included."""
        told = clean(self.catalogue.titles[item]) or f"untitled {self.catalogue.items['item_id'][item]}"
        return ItemText(item, told)

    def described(self, item: Item) -> ItemText:
        """The title and, where there are any, genres."""
        genres = self.catalogue.items["genres"][item] if "genres" in self.catalogue.items.columns else None
        told = ", ".join(map(str, genres)) if genres is not None and len(genres) else ""
        return ItemText(item, f"{self.title(item).text} ({told})" if told else self.title(item).text)

    def figure(self, rows: Sequence[Judgement], scores: Sequence[FloatArray]) -> float:
        """How good scores of these rows are: what validation goes by."""
        return _fusion.figure(np.concatenate(scores), labels(rows), _users(rows))

    def sample(self, rows: Sequence[Judgement]) -> list[Judgement]:
        """The validation rows that are asked, all those of each user among them."""
        users = _users(rows)
        chosen, n = set[int](), 0
        for user in np.random.default_rng(0).permutation(np.unique(users)).tolist():
            if n >= self.config.validate_rows:
                break
            chosen.add(user)
            n += int((users == user).sum())
        return [row for row, user in zip(rows, users.tolist(), strict=True) if user in chosen]

    def stage(
        self, name: str, split: PreferenceSplit, per_epoch: int, sample: list[Judgement], shown: bool, **options: Any
    ) -> Stage:
        """A stage of so many micro-batches per epoch with these settings; validation asks ``sample``."""
        config = self.config
        per_step = options.get("accumulate", config.accumulate) * processes.count()
        steps = round(per_epoch * config.epochs / per_step)

        def validate() -> float:
            return self.figure(sample, self.reading.score([row.query for row in sample], shown=shown))

        found: dict[str, Any] = {
            "steps": steps if config.max_steps is None else min(steps, config.max_steps),
            "accumulate": config.accumulate,
            "average": config.average,
            "validate": validate if sample else None,
            "validate_every": config.validate_every,
            "facts": self._run_facts(split),
            **options,
        }
        return Stage(name=name, **found)

    def without_users(self) -> Self:
        """The same method, witnesses too. Raises `UsageError` for an encoder that learned with the mapper."""
        modules = self.reading.modules() if hasattr(self, "reading") else {}
        names = [name for module in modules.values() for name in module.state_dict()]
        if any(name.endswith("users.weight") for name in names):
            raise UsageError("an encoder tuned with the mapper holds a vector for every user; tune with another stage")
        other = super().without_users()
        other.witnesses = tuple(witness.without_users() for witness in self.witnesses)
        return other

    def save(self, path: Path) -> None:
        """Adapters as peft saves them, all modules, witnesses and weights; the base model by name and hash."""
        if not hasattr(self, "reading"):
            raise NotFittedError(f"{type(self).__name__} has nothing to save before tune() or load()")
        packed = [collab.packed(witness) for witness in self.witnesses]
        about = _Saved(
            config=self.config.model_dump(mode="json"),
            fusion=self.fusion,
            shown=self.shown,
            facts=self.facts,
            seed=self.seed,
            witnesses=tuple(config for config, _ in packed),
            llm=Base.of(self.llm),
        )
        artifacts.save(
            path,
            kind=self.kind,
            arrays={
                **arrays_of(self.llm, self.reading.modules()),
                **{f"witness-{at}": arrays for at, (_, arrays) in enumerate(packed)},
                **({"tables": self.tables} if self.tables else {}),
            },
            json={"method": about.model_dump(mode="json"), "adapter_config": adapters.adapter_config(self.llm)},
            frames={"items": self.catalogue.items},
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Undo ``save``. Raises `ArtifactError` if anything is damaged, or the base model is not the one tuned."""
        artifact = artifacts.load(path, cls.kind)
        about = told(artifact, "method", _Saved, cls.__name__)
        try:
            config = build(cls.Config, about.config)
        except ConfigError as error:
            raise ArtifactError(f"{path}: not a {cls.__name__} that this version knows ({error})") from error
        witnesses = tuple(
            collab.unpacked_pointwise(one, artifact.arrays(f"witness-{at}"), path)
            for at, one in enumerate(about.witnesses)
        )
        method = cls._of(about.llm.name, witnesses, config)
        method.seed, method.fusion, method.shown, method.facts = about.seed, about.fusion, about.shown, about.facts
        method.witnesses = witnesses
        if len(about.fusion.weights) != 1 + len(witnesses):
            raise ArtifactError(f"{path}: has {len(about.fusion.weights)} weights for {len(witnesses)} witnesses")
        sizes = {len(witness.item_counts) for witness in witnesses} or {artifact.frame("items").height}
        method._load(saved_catalogue(artifact, min(sizes)), quiet)
        about.llm.require(method.llm, path)
        method._attach()
        adapters.load_adapter_state(method.llm, artifact.arrays("adapter_model"))
        method.tables = artifact.arrays("tables") if "tables.safetensors" in artifact.names else {}
        try:
            method.reading = method._reading()
        except (KeyError, IndexError, ValueError, RuntimeError) as error:
            raise ArtifactError(f"{path}: its parts do not fit together ({str(error).splitlines()[0]})") from error
        modules = method.reading.modules()
        if modules:
            restore(modules, artifact.arrays("modules"), path)
        return method

    @classmethod
    @abstractmethod
    def _of(cls, llm: str, witnesses: tuple[PointwiseModel, ...], config: PreferenceConfig) -> Self:
        """The method as it was before it was tuned."""

    @abstractmethod
    def _prepare(self, split: PreferenceSplit, progress: Progress) -> PreferenceSplit:
        """Witnesses, tables and facts set; the rows that are tuned on."""

    @abstractmethod
    def _reading(self) -> Reading:
        """The reading, its modules drawn from ``seed``."""

    def _ways(self) -> tuple[bool, ...]:
        """With collaborative knowledge, without, or whichever is better on validation."""
        return (True,)

    def _load(self, catalogue: Dataset, progress: Progress) -> None:
        """The language model as it came, cut to the depth asked for, and the tokens it answers with."""
        self.catalogue = catalogue
        self.llm = pristine(self._llm, self.config.layers, progress)
        self.tokens = answer_tokens(self.llm, self.config.answers)

    def _attach(self) -> dict[str, nn.Parameter]:
        return attached(self.llm, self.config, self.seed, self.config.lora_targets or "all-linear")

    def _choose(self, valid: Sequence[Judgement]) -> None:
        """The gate, then the fusion: both the better of what validation saw; as they come where there is none."""
        self.shown, self.fusion = self._ways()[0], _fusion.alone(len(self.witnesses))
        if len(self._ways()) == 1 and not self.config.fusion:
            return
        queries, liked = [self.known(row.query) for row in valid], labels(valid)
        both = bool(liked.any() and not liked.all())
        found = {}
        for shown in self._ways() if both else self._ways()[:1]:
            own = self.reading.score(queries, shown=shown)
            features = _fusion.told(self.witnesses, queries, own)
            learns = self.config.fusion and both
            fusion = _fusion.learned(features, liked) if learns else _fusion.alone(len(self.witnesses))
            found[shown] = self.figure(valid, [fusion.score(features)]) if both else 0.0, fusion
        self.shown = max(found, key=lambda shown: found[shown][0])
        self.fusion = found[self.shown][1]

    def _fused(self, queries: Sequence[Query], own: Sequence[FloatArray], fusion: Fusion) -> list[FloatArray]:
        if not queries:
            return []
        scores = fusion.score(_fusion.told(self.witnesses, queries, own))
        return np.split(scores, np.cumsum([len(query.candidates) for query in queries])[:-1])

    def _run_facts(self, split: PreferenceSplit) -> dict[str, object]:
        """What must be the same for a stopped run to go on."""
        settings = self.config.model_dump(mode="json", exclude={"fusion", "gate", "counts"})  # which come after
        return {
            "split": split.hash,
            "llm": self.llm.fingerprint,
            "number_format": self.llm.number_format,
            **self._hashes(),
            **settings,
        }

    def _hashes(self) -> dict[str, str]:
        """Hashes of what else is read in tuning."""
        return {}


def _users(rows: Sequence[Judgement]) -> IntArray:
    """``[row]``: the user's number, one of its own for each stranger."""
    users = [-1 - at if row.query.user is None else int(row.query.user) for at, row in enumerate(rows)]
    return np.array(users, dtype=np.int32)


def shows_dislikes(rows: Sequence[Judgement]) -> bool:
    """Whether any history says that something was not liked: a split that shows all labels."""
    return any(not all(row.query.likes) for row in rows)
