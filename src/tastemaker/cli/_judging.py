"""Runs and names of models -> the systems of one evaluation, none of them judged on what it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tastemaker import collab
from tastemaker.cli._configured import DATA
from tastemaker.cli._output import say
from tastemaker.cli._runs import JUDGED, MODEL, DataConfig, ModelConfig, RunConfig, comes_split, read_run
from tastemaker.cli._training import fit_model
from tastemaker.collab import pointwise
from tastemaker.collab.base import CollaborativeModel
from tastemaker.config import build
from tastemaker.data import AnySplit, PreferenceSplit
from tastemaker.data.split import Split
from tastemaker.errors import UsageError
from tastemaker.evaluate import System, protocol
from tastemaker.evaluate.protocols import Protocol
from tastemaker.evaluate.system import Kind
from tastemaker.methods.base import Method
from tastemaker.recommend import Recommender
from tastemaker.types import Progress

BASELINES = ("popularity", "cooccurrence")
"""Judged beside everything else: what they cost is nothing, and a table without them proves nothing."""
RATES = ("item-rate", "user-item-rate")
"""The same, where it is asked what is liked."""
SPLITS = {"llara": "user-ratio", "collm": JUDGED, "tallrec": JUDGED}
"""The split a protocol goes with, where that is not leave-one-out."""


def target(text: str) -> str | Path:
    """The directory of a run or of a recommender, or the name of a collaborative model. Raises `UnknownNameError`."""
    if Path(text).is_dir():
        return Path(text)
    if Path(text).exists() or "/" in text:
        raise UsageError(f"{text} is neither the directory of a run nor a collaborative model")
    if text not in pointwise.models.names():
        collab.models.get(text)
    return text


def data_of(runs: Sequence[Path], given: dict[str, Any], protocol_name: str) -> DataConfig:
    """What was said, else what the first run was trained on, else the customary data of the protocol."""
    said = {key: value for key, value in given.items() if value}
    found = next((run for path in runs if (run := run_of(path)) is not None), None)
    name = said.get("name", DATA if found is None else found.data.name)
    if found is not None and name == found.data.name:
        base = found.data.model_dump(exclude={"hash"})
    else:
        base = {"name": name, "split": None if comes_split(name) else SPLITS.get(protocol_name), "settings": {}}
    if said.get("split", base["split"]) != base["split"]:
        base["settings"] = {}
    return build(DataConfig, {**base, **said, "settings": {**base["settings"], **said.get("settings", {})}})


def run_of(path: Path) -> RunConfig | None:
    """The config of the run at ``path``, or of the one whose ``model`` folder that is."""
    whole = path.resolve()
    return read_run(whole.parent if whole.name == MODEL else whole)


def protocol_of(name: str, settings: dict[str, Any]) -> Protocol:
    """The preset with some of its settings changed. Raises `UnknownNameError` or `ConfigError`."""
    return build(type(protocol(name)), settings, where=f"{name}: ")


def systems(
    targets: Sequence[str | Path],
    split: Split,
    *,
    settings: dict[str, Any],
    llm_draws: int,
    seed: int,
    baselines: bool,
    progress: Progress,
) -> list[System]:
    """Baselines first, then each target, a run's retriever before the run itself; every name once."""
    found: dict[str, System] = {}

    def add(name: str, system: System) -> None:
        if name in found:
            raise UsageError(f"two systems are named {name!r}; rename the directory of one{_or_less(name, BASELINES)}")
        found[name] = system

    named = [name for name in BASELINES if baselines and name not in targets] + list(targets)
    reserved = {_name(one) for one in targets if isinstance(one, Path)}
    for one in named:
        if isinstance(one, str):
            model = ModelConfig(name=one, settings=settings.get(one, {}))
            add(one, of_model(one, fit_model(model, split, seed, progress), seed))
            continue
        recommender, run = load_for(one, split)
        seed_of = None if run is None else run.seed
        retriever = collab.models.name_of(type(recommender.retriever))
        ranker = recommender.ranker
        if ranker is None:
            add(_name(one), of_model(_name(one), recommender.retriever, seed_of))
            continue
        if baselines and retriever not in found and retriever not in targets:
            name = f"{retriever} of {_name(one)}" if retriever in reserved else retriever
            add(name, of_model(name, recommender.retriever, seed_of))
        add(_name(one), of_ranker(_name(one), recommender, ranker, llm_draws, seed_of))
    return list(found.values())


def judges(
    targets: Sequence[str | Path],
    split: PreferenceSplit,
    *,
    settings: dict[str, Any],
    seed: int,
    baselines: bool,
    progress: Progress,
) -> list[System]:
    """The same for questions of what is liked: rates first, then each target. Raises `UsageError`."""
    found = []
    for one in [*(name for name in RATES if baselines and name not in targets), *targets]:
        if isinstance(one, Path):
            from tastemaker.methods._preference import PreferenceMethod  # loads the libraries of language models

            recommender, run = load_for(one, split)
            if not isinstance(recommender.ranker, PreferenceMethod):
                raise UsageError(f"{one} ranks what comes next; it does not answer what is liked")
            seed_of = None if run is None else run.seed
            found.append(System(_name(one), "llm", recommender.ranker.score, seed=seed_of, probabilities=True))
            continue
        model = pointwise.models.get(one)(**settings.get(one, {})).fit(split, seed=seed, progress=progress)
        kind: Kind = "trivial" if one in RATES or not hasattr(model, "network") else "collaborative"
        found.append(System(one, kind, model.score, seed=None, probabilities=model.probabilities))
    if len({system.name for system in found}) < len(found):
        names = [system.name for system in found]
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"two systems are named {twice!r}; rename the directory of one{_or_less(twice, RATES)}")
    return found


def load_for(path: Path, split: AnySplit) -> tuple[Recommender, RunConfig | None]:
    """The recommender at ``path``, if the split's test is new to it. Raises `UsageError` if it may not be."""
    run = run_of(path)
    if run is None:
        say(f"warning: {path} does not say what it was trained on; it may have seen the answers")
    elif run.data.hash != split.hash:
        raise UsageError(
            f"{path} was trained on another split than the one it would be judged on; it may have seen the answers. "
            "Leave --data and --split out, or train it on this split"
        )
    recommender = Recommender.from_pretrained(path)
    if not recommender.data.items["item_id"].equals(split.dataset.items["item_id"]):
        raise UsageError(f"{path} has another catalogue than {split.dataset.name}; train it on this split")
    return recommender, run


def of_model(name: str, model: CollaborativeModel, seed: int | None) -> System:
    """A row; models that only count are baselines, those that learn vectors are rivals."""
    learns = model.lends_vectors()
    return System.of_model(name, model, "collaborative" if learns else "trivial", seed=seed if learns else None)


def of_ranker(name: str, recommender: Recommender, ranker: Method, draws: int | None, seed: int | None) -> System:
    """A row; ``draws`` spares the ranker that reads its candidates, and is nothing to one that scores them all."""
    return System(
        name,
        "llm",
        recommender.score_queries,
        draws=None if ranker.scores_catalogue else draws,
        seed=seed,
        scores_catalogue=ranker.scores_catalogue,
        probabilities=ranker.probabilities,
    )


def _or_less(name: str, baselines: Sequence[str]) -> str:
    return ", or leave baselines out with --no-baselines" if name in baselines else ""


def _name(path: Path) -> str:
    resolved = path.resolve()
    return resolved.parent.name if resolved.name == MODEL else resolved.name
