"""Titles and histories -> the texts that both sides of a comparison read, at any number of items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tastemaker.data import Split
from tastemaker.errors import UsageError
from tastemaker.prompts.clean import clean, plain_title

WORDS = (
    "Alien Amber Autumn Bitter Blue Border Broken Captain City Cold Crimson Dark Desert Distant Dream Echo Empire "
    "Fargo Fire Garden Ghost Glass Golden Harbour Heart Hidden House Iron Island Journey King Letter Light Little Lost "
    "Midnight Mirror Moon Morning Mountain Murder Night North Ocean Paper Prince Queen Quiet Rain Red River Secret "
    "Shadow Silent Silver Sister Stone Storm Strange Street Summer Thief Thunder Tower Train Velvet War Water Whisper "
    "White Wild Winter Wolf Woman Wonder"
)
JOINTS = (" ", " ", " and ", " of the ", " in ", ": ")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Titles, all different, and what each user chose of them, oldest first."""

    titles: tuple[str, ...]
    histories: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of these titles comes next? LLaRA's question in its text-only form, placeholders included."""

    history: tuple[str, ...]
    titles: tuple[str, ...]
    answer: int
    """The place of the title the user chose."""

    @property
    def prompt(self) -> str:
        """The whole question; answers begin with a space."""
        return (
            f"This user has watched {_marked(self.history)} in the previous. Please predict the next movie this user "
            f"will watch. Choose the answer from the following {len(self.titles)} movie titles: "
            f"{_marked(self.titles)}. Answer:"
        )

    @property
    def answers(self) -> tuple[str, ...]:
        """What follows the prompt, for each title."""
        return tuple(f" {title}\n" for title in self.titles)

    @property
    def example(self) -> tuple[str, str]:
        """The prompt and its right answer, to tune on."""
        return self.prompt, self.answers[self.answer]


@dataclass(frozen=True, slots=True)
class Liking:
    """Will this user like each of these? TALLRec's and CoLLM's question, in which only the last part varies."""

    history: tuple[str, ...]
    targets: tuple[str, ...]
    liked: tuple[bool, ...]
    """For each target, whether the user chose it later."""

    @property
    def shared(self) -> str:
        """What the prompts of all targets begin with."""
        return (
            "Question: A user has given high ratings to the following movies: "
            + ", ".join(f'"{title}"' for title in self.history)
            + ". Using all available information, make a prediction about whether the user would enjoy"
        )

    @property
    def clauses(self) -> tuple[str, ...]:
        """What each target's prompt ends with; answers begin with a space."""
        return tuple(f' the movie titled "{title}". Answer with "Yes" or "No".\nAnswer:' for title in self.targets)

    @property
    def prompts(self) -> tuple[str, ...]:
        """The whole question of each target."""
        return tuple(self.shared + clause for clause in self.clauses)

    @property
    def examples(self) -> tuple[tuple[str, str], ...]:
        """Each prompt and its right answer, to tune on."""
        return tuple((p, " Yes" if liked else " No") for p, liked in zip(self.prompts, self.liked, strict=True))


def of_split(split: Split) -> Shelf:
    """The catalogue and the test users of a split, what they are tested on last."""
    titles = [clean(plain_title(title)) or f"untitled {i}" for i, title in enumerate(split.dataset.titles)]
    seen: set[str] = set()
    for i, title in enumerate(titles):
        titles[i] = f"{title} {i}" if title in seen else title
        seen.add(titles[i])
    return Shelf(tuple(titles), tuple((*map(int, c.query.history), int(c.positive)) for c in split.test))


def made_up(n_titles: int = 400, n_users: int = 64, length: int = 80, *, seed: int = 0) -> Shelf:
    """Titles and users of nowhere, for where there is no data set; lengths are those of MovieLens titles."""
    rng = np.random.default_rng(seed)
    titles: dict[str, None] = {}
    while len(titles) < n_titles:
        words = rng.choice(WORDS.split(), rng.integers(1, 4), replace=False)
        titles[str(rng.choice(JOINTS)).join(words)] = None
    return Shelf(tuple(titles), tuple(tuple(rng.permutation(n_titles)[:length].tolist()) for _ in range(n_users)))


def choices(shelf: Shelf, users: int, *, history: int = 10, candidates: int = 20, seed: int = 0) -> list[Choice]:
    """For each of so many users, their last title among others they have not chosen, after the ``history`` before."""
    rng = np.random.default_rng(seed)
    found = []
    for chosen in _enough(shelf, users, history + 1):
        answer = int(rng.integers(candidates))
        shown = _others(shelf, chosen, candidates - 1, rng)
        shown.insert(answer, chosen[-1])
        found.append(Choice(_named(shelf, chosen[-history - 1 : -1]), _named(shelf, shown), answer))
    return found


def likings(shelf: Shelf, users: int, *, history: int = 10, targets: int = 50, seed: int = 0) -> list[Liking]:
    """For each of so many users, up to half ``targets`` of their last titles among others, after ``history`` titles."""
    rng = np.random.default_rng(seed)
    found = []
    for chosen in _enough(shelf, users, history + 1):
        cut = max(history, len(chosen) - targets // 2)
        shown = [*chosen[cut:], *_others(shelf, chosen, targets - len(chosen) + cut, rng)]
        order = rng.permutation(targets)
        liked = tuple(bool(place < len(chosen) - cut) for place in order)
        found.append(
            Liking(_named(shelf, chosen[cut - history : cut]), _named(shelf, [shown[i] for i in order]), liked)
        )
    return found


def _enough(shelf: Shelf, users: int, length: int) -> list[tuple[int, ...]]:
    found = [chosen for chosen in shelf.histories if len(chosen) >= length]
    if len(found) < users:
        raise UsageError(f"{len(found)} users have {length} titles, {users} are wanted; ask for fewer, or less history")
    return found[:users]


def _others(shelf: Shelf, chosen: Sequence[int], n: int, rng: np.random.Generator) -> list[int]:
    left = np.setdiff1d(np.arange(len(shelf.titles)), chosen)
    return [int(item) for item in rng.choice(left, n, replace=False)]


def _named(shelf: Shelf, items: Sequence[int]) -> tuple[str, ...]:
    return tuple(shelf.titles[item] for item in items)


def _marked(titles: Sequence[str]) -> str:
    return ", ".join(f"{title} [PH]" for title in titles)
