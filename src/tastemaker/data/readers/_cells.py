"""What a column of text may hold -> polars expressions that check it and convert it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from tastemaker.data.frames import BAD_ID, LAST_SECOND

WHOLE = r"^-?(0|[1-9][0-9]{0,17})$"
DECIMAL = r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$"
"""ASCII digits only: no underscores, exponents, signs or zeros in front, nan or inf, full-width digits."""
WIDE = 1e9
"""A range so wide that a bad number is bad for another reason."""
ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|\+00:00)?)?$"


class Cell(Protocol):
    """One column's rule."""

    @property
    def column(self) -> str:
        """The column's name."""

    def ok(self) -> pl.Expr:
        """True where the text is fine."""

    def value(self) -> pl.Expr:
        """The converted column; only asked for where the text is fine."""

    def reason(self) -> str:
        """What a bad value is not."""


@dataclass(frozen=True, slots=True)
class Id:
    """An outside id, kept as it is written."""

    column: str

    def ok(self) -> pl.Expr:
        """Not empty, not padded, no control characters, not endless."""
        return ~pl.col(self.column).str.contains(BAD_ID)

    def value(self) -> pl.Expr:
        """The text itself."""
        return pl.col(self.column)

    def reason(self) -> str:
        """What a bad id is not."""
        return "is not an id (empty, padded with spaces, too long or with control characters)"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between ``low`` and ``high``."""

    column: str
    low: int = 0
    high: int = 2**31 - 1
    optional: bool = False

    def ok(self) -> pl.Expr:
        """Written as plain digits, and in range; or empty where that is allowed."""
        text = pl.col(self.column)
        fine = text.str.contains(WHOLE) & self.value().is_between(self.low, self.high)
        return (fine.fill_null(value=False) | (text == "")) if self.optional else fine.fill_null(value=False)

    def value(self) -> pl.Expr:
        """As int64, null where empty."""
        return pl.col(self.column).cast(pl.Int64, strict=False)

    def reason(self) -> str:
        """What a bad number is not."""
        return f"is not a whole number between {self.low} and {self.high}"


@dataclass(frozen=True, slots=True)
class WholeId:
    """A whole number that is an id: checked like one, kept as text, so that ``007`` and ``7`` cannot be confused."""

    column: str

    def ok(self) -> pl.Expr:
        """Plain digits without zeros in front."""
        return pl.col(self.column).str.contains(r"^(0|[1-9][0-9]{0,17})$")

    def value(self) -> pl.Expr:
        """The text itself."""
        return pl.col(self.column)

    def reason(self) -> str:
        """What a bad id is not."""
        return "is not a whole number as id"


@dataclass(frozen=True, slots=True)
class Decimal:
    """A number between ``low`` and ``high``."""

    column: str
    low: float
    high: float
    optional: bool = False

    def ok(self) -> pl.Expr:
        """Written with plain digits and at most one point, and in range; or empty where that is allowed."""
        text = pl.col(self.column)
        fine = text.str.contains(DECIMAL) & self.value().is_between(self.low, self.high)
        return (fine.fill_null(value=False) | (text == "")) if self.optional else fine.fill_null(value=False)

    def value(self) -> pl.Expr:
        """As float64, null where empty."""
        return pl.col(self.column).cast(pl.Float64, strict=False)

    def reason(self) -> str:
        """What a bad number is not."""
        wide = self.high >= WIDE
        return "is not a number in plain digits" if wide else f"is not a number between {self.low:g} and {self.high:g}"


@dataclass(frozen=True, slots=True)
class Seconds:
    """A moment in seconds since 1970, whole or with a fraction that is cut off."""

    column: str
    optional: bool = False
    otherwise: str = "milliseconds? divide by 1000"
    """What to do about a time that is written in another way."""

    def ok(self) -> pl.Expr:
        """Plain digits, between 1970 and 2100; or empty where that is allowed."""
        return Decimal(self.column, 0, LAST_SECOND - 1, self.optional).ok()

    def value(self) -> pl.Expr:
        """As int64, null where empty."""
        return pl.col(self.column).str.replace(r"\..*$", "").cast(pl.Int64, strict=False)

    def reason(self) -> str:
        """What a bad time is not."""
        return f"is not a time in seconds between 1970 and 2100 ({self.otherwise})"


@dataclass(frozen=True, slots=True)
class Text:
    """Any text; spaces around it are dropped."""

    column: str

    def ok(self) -> pl.Expr:
        """Always."""
        return pl.col(self.column).is_not_null()

    def value(self) -> pl.Expr:
        """Without spaces around it."""
        return pl.col(self.column).str.strip_chars()

    def reason(self) -> str:
        """Never used: all text is fine."""
        return "is not text"


@dataclass(frozen=True, slots=True)
class Milliseconds:
    """A moment in milliseconds since 1970, cut to seconds."""

    column: str
    optional: bool = False

    def ok(self) -> pl.Expr:
        """Plain digits, between 1970 and 2100; or empty where that is allowed."""
        return Whole(self.column, 0, LAST_SECOND * 1000 - 1, self.optional).ok()

    def value(self) -> pl.Expr:
        """As int64 seconds, null where empty."""
        return Whole(self.column).value() // 1000

    def reason(self) -> str:
        """What a bad time is not."""
        return "is not a time in milliseconds between 1970 and 2100"


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, or a date and time in UTC: ``2024-05-01``, ``2024-05-01T12:30:00Z``."""

    column: str
    optional: bool = False

    def ok(self) -> pl.Expr:
        """A real date between 1970 and 2100; or empty where that is allowed."""
        text = pl.col(self.column)
        fine = text.str.contains(ISO) & self.value().is_between(0, LAST_SECOND - 1)
        return (fine.fill_null(value=False) | (text == "")) if self.optional else fine.fill_null(value=False)

    def value(self) -> pl.Expr:
        """As int64 seconds, null where empty."""
        text = pl.col(self.column).str.replace("T", " ", literal=True).str.replace(r"(\.[0-9]+)?(Z|\+00:00)?$", "")
        forms = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
        days = (text.str.to_datetime(form, strict=False, time_unit="us") for form in forms)
        return pl.coalesce(days).dt.epoch("s")

    def reason(self) -> str:
        """What a bad time is not."""
        return "is not a date between 1970 and 2100 (2024-05-01 or 2024-05-01T12:30:00Z)"
