"""What every splitting protocol is: settings that are checked, and one `apply`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import AnySplit
from tastemaker.errors import ConfigError, suggest

UserSequence = tuple[int, Sequence[int], Sequence[int | None]]


class SplitRule(BaseModel, ABC):
    """A protocol with its settings as fields; the file's name is the protocol's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """The rule with these settings. Raises `ConfigError` for an unknown or impossible one."""
        for name in settings:
            if name not in cls.model_fields:
                raise ConfigError(f"this split has no setting {name!r}; {suggest(name, cls.model_fields)}")
        try:
            return cls(**settings)
        except ValidationError as e:
            problem = e.errors()[0]
            where = problem["loc"][0] if problem["loc"] else "settings"
            raise ConfigError(f"split setting {where}={problem['input']!r}: {problem['msg']}") from None

    @abstractmethod
    def apply(self, dataset: Dataset) -> AnySplit:
        """Split the dataset; each protocol says which kind it makes.

        Raises `DataError` when nothing is left to learn from or to test on.
        """

    def settings(self) -> dict[str, int | float | str]:
        """The settings that are set, as a `Split` records them."""
        return self.model_dump(exclude_none=True)


def sequences(dataset: Dataset) -> Iterator[UserSequence]:
    """Each user with interactions: number, items and times, oldest first."""
    groups = dataset.interactions.group_by("user", maintain_order=True).agg("item", "time")
    yield from groups.iter_rows()
