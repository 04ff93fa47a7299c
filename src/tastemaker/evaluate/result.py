"""What one measured claim says: the schema of a file under results/, read back strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tastemaker.errors import DataError, UsageError
from tastemaker.evaluate.metrics import metric
from tastemaker.evaluate.significance import Interval
from tastemaker.evaluate.system import KINDS, Kind


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class Slots(_Part):
    """By the position in which candidates are shown, first position first."""

    n: tuple[int, ...]
    """How many cases had the positive there."""
    hit: tuple[float, ...]
    """HR@1 of those cases."""
    picked: tuple[float, ...]
    """How often the system put the item shown there first."""


class Bin(_Part):
    """The cases in which the system was about so sure of its first choice."""

    n: int
    confidence: float
    hit: float


class Calibration(_Part):
    """Confidence against hit rate."""

    ece: float
    bins: tuple[Bin, ...]


class Slice(_Part):
    """One system on some of the cases."""

    name: str
    """Which cases."""
    n: int
    users: int
    usable: int
    """Users with answers of both kinds, over whom metrics within users are means."""
    metrics: dict[str, float]
    """Those that are defined here."""


class Row(_Part):
    """One system."""

    system: str
    kind: str
    """``trivial``, ``collaborative``, ``llm``; other measurements than evaluations have kinds of their own."""
    metrics: dict[str, float]
    ci95: dict[str, Interval] = {}
    draws: int = 1
    """Candidate lists per user."""
    seeds: tuple[int, ...] = ()
    """Of the trained copies the row is the mean of."""
    by_seed: dict[str, tuple[float, ...]] = {}
    """Each metric for each of the seeds, where there are several."""
    seconds_per_1000: float | None = None
    """What 1,000 recommendations took on the machine named."""
    slices: tuple[Slice, ...] = ()
    slots: Slots | None = None
    calibration: Calibration | None = None
    notes: str = ""


class Pair(_Part):
    """One system against another on the same users and draws."""

    a: str
    b: str
    metric: str
    delta: float
    """Mean of a less mean of b, on the draws both have."""
    ci95: Interval
    p: float
    p_holm: float = 1.0
    """Corrected for all the pairs of this result."""
    test: str = ""
    """``mcnemar`` (exact) where every user has one yes-or-no outcome, else ``sign-flip`` over users; ``bootstrap`` over
    users for metrics that are no means over cases."""
    draws: int = 1
    a_mean: float | None = None
    b_mean: float | None = None
    users: tuple[int, int, int] | None = None
    """How many users are better off with a, alike, better off with b."""
    best_non_llm: bool = False
    """True where b is the best row without a language model."""


class Run(_Part):
    """What one system, or one seed of it, was and took."""

    system: str
    kind: Kind
    seed: int | None
    draws: int
    seconds: float
    recommendations: int
    """How many questions it was asked, in ``seconds``; one may stand for many lists (`System.scores_catalogue`)."""
    probabilities: bool
    """Whether its scores are log-probabilities, or logits of a softmax."""
    breadth: dict[str, float] = {}
    """Over the whole catalogue, what all its lists are together: ``coverage@10``, ``novelty@10``."""
    notes: str = ""


class Published(_Part):
    """What others report on the same task, with other models and on other candidates: to be read, not tested."""

    system: str
    metrics: dict[str, float]
    source: str


class Result(_Part):
    """One evaluation, whole: what was measured, on what, by which command, and every row."""

    name: str
    protocol: str
    command: str
    commit: str
    data_hash: str
    candidates_hash: str | None = None
    n: int
    """Questions; with one question a user, as in all present protocols, users."""
    seeds: tuple[int, ...] = ()
    machine: str
    seconds: float
    rows: tuple[Row, ...] = Field(min_length=1)
    paired: tuple[Pair, ...] = ()
    metrics: tuple[str, ...] = ()
    """In the order of the table; the first is the headline."""
    describes: str = ""
    """The protocol in numbers."""
    focus: str = ""
    part: str = "test"
    settings: dict[str, Any] = {}
    """Of the protocol."""
    runs: tuple[Run, ...] = ()
    remarks: tuple[str, ...] = ()
    """What to know of the questions before believing the answers."""
    missing: tuple[str, ...] = ()
    """Systems that belong here and were not measured."""
    published: tuple[Published, ...] = ()
    outcomes_sha256: str | None = None
    """Of the parquet file beside this one, which has the outcome of every case."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The metrics to show, headline first."""
        return self.metrics or tuple(dict.fromkeys(name for row in self.rows for name in row.metrics))

    @property
    def headline(self) -> str:
        """The metric that ranks the rows."""
        return self.columns[0]

    @property
    def paired_on(self) -> list[tuple[str, list[Pair]]]:
        """The pairs by metric, the headline first."""
        names = dict.fromkeys(pair.metric for pair in self.paired)
        return [(name, [pair for pair in self.paired if pair.metric == name]) for name in names]

    @property
    def groups(self) -> list[tuple[str, list[Row]]]:
        """The rows by kind, the plainest kind first, the best row of each kind first; no row is left out."""
        kinds = sorted({row.kind for row in self.rows}, key=lambda k: (KINDS.index(k) if k in KINDS else len(KINDS), k))
        sign = -1.0 if higher_is_better(self.headline) else 1.0
        last = float("inf")
        return [
            (
                kind,
                sorted(
                    (row for row in self.rows if row.kind == kind),
                    key=lambda row: sign * row.metrics[self.headline] if self.headline in row.metrics else last,
                ),
            )
            for kind in kinds
        ]

    def best(self, name: str) -> set[str]:
        """The systems with the best value of that metric; none if all are alike or no way is known to be better."""
        better = higher_is_better(name)
        values = [row.metrics[name] for row in self.rows if name in row.metrics]
        if better is None or not values:
            return set()
        top = max(values) if better else min(values)
        best = {row.system for row in self.rows if row.metrics.get(name) == top}
        return best if len(best) < len(self.rows) or len(self.rows) == 1 else set()


def higher_is_better(name: str) -> bool | None:
    """Which way is better for that metric, or None if it is no metric of ours (seconds, say)."""
    try:
        return metric(name).higher_is_better
    except UsageError:
        return None


def read_result(path: str | Path) -> Result:
    """The result in that file. Raises `DataError` if it is not one."""
    try:
        return Result.model_validate(json.loads(Path(path).read_bytes()))
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where}: {first['msg']}" if where else "expected what `tastemaker evaluate --out` writes"
        raise DataError(f"is not a result: {reason}", path) from error
    except ValueError as error:
        raise DataError(f"is not a result: not JSON ({error})", path) from error
