"""Runs and names of models -> the systems of one evaluation, none of them judged on what it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker import collab
from tastemaker.cli._company import Company, under
from tastemaker.cli._configured import DATA
from tastemaker.cli._output import say
from tastemaker.cli._runs import JUDGED, MODEL, DataConfig, ModelConfig, RunConfig, read_run
from tastemaker.cli._training import fit_model
from tastemaker.collab import pointwise
from tastemaker.collab.base import CollaborativeModel
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.config import build
from tastemaker.data import AnySplit, PreferenceSplit, comes_split
from tastemaker.data.split import Split
from tastemaker.errors import UsageError
from tastemaker.evaluate import System, protocol
from tastemaker.evaluate.protocols import Protocol
from tastemaker.methods.base import Method
from tastemaker.recommend import Recommender
from tastemaker.types import Progress

if TYPE_CHECKING:
    from tastemaker.methods._preference import PreferenceMethod

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
    groups = {key: {**base.get(key, {}), **said.get(key, {})} for key in ("settings", "options")}
    return build(DataConfig, {**base, **said, **groups})


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
    """Baselines first, then each target, the models under a run before the run itself; every model once."""
    rows = _rows(targets, BASELINES if baselines else ())
    loaded = {one: load_for(one, split) for one in rows if isinstance(one, Path)}
    fitted = {
        one: fit_model(ModelConfig(name=one, settings=settings.get(one, {})), split, seed, progress)
        for one in rows
        if isinstance(one, str)
    }
    alone = [recommender.retriever for recommender, _ in loaded.values() if recommender.ranker is None]
    company = Company(map(_name, rows), [*fitted.values(), *alone])
    found = []
    for one in rows:
        if isinstance(one, str):
            found.append(of_model(one, fitted[one], seed))
            continue
        recommender, run = loaded[one]
        seed_of, ranker = None if run is None else run.seed, recommender.ranker
        if ranker is None:
            found.append(of_model(_name(one), recommender.retriever, seed_of))
            continue
        for model in under(recommender) if baselines else ():
            if name := company.join(model, _name(one)):
                found.append(of_model(name, model, seed_of))
        found.append(of_ranker(_name(one), recommender, ranker, llm_draws, seed_of))
    return found


def judges(
    targets: Sequence[str | Path],
    split: PreferenceSplit,
    *,
    settings: dict[str, Any],
    seed: int,
    baselines: bool,
    progress: Progress,
) -> list[System]:
    """The same for questions of what is liked: rates first, then each target after all that its fusion may hear.

    Raises `UsageError`.
    """
    rows = _rows(targets, RATES if baselines else ())
    loaded = {one: _judge_for(one, split) for one in rows if isinstance(one, Path)}
    fitted = {
        one: pointwise.models.get(one)(**settings.get(one, {})).fit(split, seed=seed, progress=progress)
        for one in rows
        if isinstance(one, str)
    }
    company = Company(map(_name, rows), fitted.values())
    found = []
    for one in rows:
        if isinstance(one, str):
            found.append(of_pointwise(one, fitted[one], seed))
            continue
        ranker, run = loaded[one]
        seed_of = None if run is None else run.seed
        for model in ranker.witnesses if baselines else ():
            if name := company.join(model, _name(one)):
                found.append(of_pointwise(name, model, seed_of))
        found.append(System(_name(one), "llm", ranker.score, seed=seed_of, probabilities=True))
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


def of_pointwise(name: str, model: PointwiseModel, seed: int | None) -> System:
    """The same for a model of yes/no questions."""
    learns = model.lends_vectors()
    return System.of_pointwise(name, model, "collaborative" if learns else "trivial", seed=seed if learns else None)


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


def _judge_for(path: Path, split: PreferenceSplit) -> tuple[PreferenceMethod, RunConfig | None]:
    """What answers yes or no at ``path``. Raises `UsageError` as `load_for` does, and where nothing there does."""
    from tastemaker.methods._preference import PreferenceMethod  # loads the libraries of language models

    recommender, run = load_for(path, split)
    if not isinstance(recommender.ranker, PreferenceMethod):
        raise UsageError(f"{path} ranks what comes next; it does not answer what is liked")
    return recommender.ranker, run


def _rows(targets: Sequence[str | Path], baselines: Sequence[str]) -> list[str | Path]:
    """The baselines that nobody named, then the targets. Raises `UsageError` where two have one name."""
    rows = [*(name for name in baselines if name not in targets), *targets]
    names = list(map(_name, rows))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        less = ", or leave baselines out with --no-baselines" if twice in baselines else ""
        raise UsageError(f"two systems are named {twice!r}; rename the directory of one{less}")
    return rows


def _name(target: str | Path) -> str:
    if isinstance(target, str):
        return target
    resolved = target.resolve()
    return resolved.parent.name if resolved.name == MODEL else resolved.name
