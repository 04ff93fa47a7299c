"""chatrec-ratings: what users would rate -> RMSE and MAE of plain models and of the engine, on two splits."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.chatrec_results import write
from benchmarks.kept import Asked
from tastemaker import Recommender, collab
from tastemaker.data import Dataset, load_dataset
from tastemaker.evaluate import significance
from tastemaker.evaluate.evaluation import RESAMPLING_SEED
from tastemaker.evaluate.result import Pair, Published, Row
from tastemaker.serve.chat.ratings import Ratings

SEEDS = (0, 1, 2, 3, 4)
FOCUS = "Chat-REC (predict_rating)"
KINDS = {
    "user + item means": "trivial",
    "biased MF": "collaborative",
    "item-kNN": "collaborative",
    FOCUS: "collaborative",
}
NOTES = {
    "user + item means": "damped by 5 ratings at the mean",
    "biased MF": "20 factors by alternating least squares on what the means leave",
    "item-kNN": "shrunk cosines of what the means leave, 100 neighbours",
    FOCUS: "means, factors and neighbours, weighted on a tenth of train; no language model has a say in a rating",
}
PUBLISHED = (
    Published(
        system="MF", metrics={"rmse": 0.988, "mae": 0.771}, source="Chat-REC's table 3; its split is not known to us"
    ),
    Published(
        system="Item-KNN",
        metrics={"rmse": 0.933, "mae": 0.734},
        source="Chat-REC's table 3; its split is not known to us",
    ),
    Published(
        system="Chat-REC (text-davinci-003)",
        metrics={"rmse": 0.785, "mae": 0.593},
        source="its table 3; zero-shot on an old public dataset, users and split not told, the model retired",
    ),
)
Errors = np.ndarray[Any, Any]
"""``[test rating]``: predicted less given."""


def measure(name: str, asked: Asked) -> list[Path]:
    """Both files; it takes seconds, so all of it is measured anew each time."""
    data = load_dataset("ml-100k")
    drawn = [(seed, at_random(data, seed)) for seed in SEEDS]
    return [
        _table(name, asked, data, drawn, "90/10 at random: of all ratings, a random tenth is held out"),
        _table(
            f"{name}-time",
            asked,
            data,
            [(0, latest(data))],
            "90/10 by time: the latest tenth of each user's ratings is held out",
        ),
    ]


def at_random(data: Dataset, seed: int) -> pl.Series:
    """``[rating]``: whether it is held out."""
    return pl.Series(np.random.default_rng(seed).random(data.n_interactions) < 0.1)


def latest(data: Dataset) -> pl.Series:
    """``[rating]``: whether it is of the last tenth of its user."""
    left, n = pl.int_range(pl.len()).reverse().over("user"), pl.len().over("user")
    return data.interactions.select(left < (n * 0.1).round())[:, 0]


def judged(data: Dataset, held: pl.Series, seed: int) -> tuple[dict[str, Errors], Errors]:
    """What every row errs by on the ratings that are ``held`` out, and whose these are."""
    train = data.with_interactions(data.interactions.filter(~held), "Some ratings are held out.")
    popular = collab.models.get("popularity")().fit(train.split("leave-one-out", k_core=0))
    ratings = Ratings.fit(train, Recommender(popular, data=train), seed=seed)
    test = data.interactions.filter(held)
    user, item, rating = (test[column].to_numpy() for column in ("user", "item", "rating"))
    base, told = ratings.parts.base(user, item), ratings.parts.told(user, item)
    predicted = {
        "user + item means": base,
        "biased MF": base + told[:, 0],
        "item-kNN": base + told[:, 1],
        FOCUS: ratings.predicted(user, item),
    }
    bound = {name: np.clip(values, ratings.lowest, ratings.highest) for name, values in predicted.items()}
    return {name: values - rating for name, values in bound.items()}, user


def _table(name: str, asked: Asked, data: Dataset, splits: Sequence[tuple[int, pl.Series]], describes: str) -> Path:
    started = time.monotonic()
    found = [judged(data, held, seed) for seed, held in splits]
    seeds = [seed for seed, _ in splits]
    users = np.concatenate([user for _, user in found])
    errors = {system: np.concatenate([one[system] for one, _ in found]) for system in KINDS}
    rows = tuple(_row(system, errors[system], users, [one[system] for one, _ in found], seeds) for system in KINDS)
    digest = hashlib.sha256(b"".join(held.to_numpy().tobytes() for _, held in splits)).hexdigest()
    path = write(
        name,
        "rating-prediction",
        data,
        claim="chatrec-ratings",
        asked=asked,
        n=len(users),
        rows=rows,
        paired=_pairs(errors, users, rows),
        metrics=("rmse", "mae"),
        describes=f"all rows {describes}; intervals over users",
        focus=FOCUS,
        seeds=tuple(seeds),
        candidates_hash=digest,
        published=PUBLISHED,
        seconds=round(time.monotonic() - started, 1),
    )
    return path


def _row(system: str, errors: Errors, users: Errors, by_seed: Sequence[Errors], seeds: Sequence[int]) -> Row:
    low_high = _drawn({system: errors}, users)[system]
    ends = {m: significance.Interval(*np.quantile(low_high[m], [0.025, 0.975]).tolist()) for m in ("rmse", "mae")}
    each = {m: tuple(_metrics(one)[m] for one in by_seed) for m in ("rmse", "mae")}
    return Row(
        system=system,
        kind=KINDS[system],
        metrics=_metrics(errors),
        ci95=ends,
        seeds=tuple(seeds),
        by_seed=each if len(seeds) > 1 else {},
        notes=NOTES[system],
    )


def _pairs(errors: Mapping[str, Errors], users: Errors, rows: Sequence[Row]) -> tuple[Pair, ...]:
    drawn = _drawn(errors, users)
    others = sorted((row for row in rows if row.system != FOCUS), key=lambda row: row.metrics["rmse"])
    found = []
    for row in others:
        deltas = drawn[FOCUS]["rmse"] - drawn[row.system]["rmse"]
        beyond = min((deltas <= 0).sum(), (deltas >= 0).sum()) + 1
        ours, theirs = _metrics(errors[FOCUS])["rmse"], row.metrics["rmse"]
        found.append(
            Pair(
                a=FOCUS,
                b=row.system,
                metric="rmse",
                delta=ours - theirs,
                ci95=significance.Interval(*np.quantile(deltas, [0.025, 0.975]).tolist()),
                p=float(min(1.0, 2 * beyond / (len(deltas) + 1))),
                test="bootstrap",
                a_mean=ours,
                b_mean=theirs,
                best_non_llm=row is others[0],
            )
        )
    holm = significance.holm([pair.p for pair in found])
    return tuple(pair.model_copy(update={"p_holm": p}) for pair, p in zip(found, holm, strict=True))


def _drawn(errors: Mapping[str, Errors], users: Errors) -> dict[str, dict[str, Errors]]:
    """By row and metric, ``[resample]``: users drawn with all their ratings, the same draws for every row."""
    rng, n = np.random.default_rng(RESAMPLING_SEED), int(users.max()) + 1
    weights = rng.multinomial(n, np.full(n, 1 / n), size=2000).astype(np.float64)
    count = weights @ np.bincount(users, minlength=n)
    found = {}
    for name, values in errors.items():
        squares = weights @ np.bincount(users, values**2, minlength=n)
        found[name] = {
            "rmse": np.sqrt(squares / count),
            "mae": weights @ np.bincount(users, np.abs(values), minlength=n) / count,
        }
    return found


def _metrics(errors: Errors) -> dict[str, float]:
    return {"rmse": float(np.sqrt(np.mean(errors**2))), "mae": float(np.mean(np.abs(errors)))}
