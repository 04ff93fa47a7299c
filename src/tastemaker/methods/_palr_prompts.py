"""Queries -> PALR's prompts: history, profile and candidates in words, within the model's budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from tastemaker.data.dataset import Dataset
from tastemaker.llm.base import LanguageModel
from tastemaker.llm.local import LocalLM
from tastemaker.prompts.clean import clean, plain_title
from tastemaker.prompts.prompt import Item as ItemText
from tastemaker.prompts.prompt import Part, Prompt, Quoted, fit, joined
from tastemaker.types import Item

WORDS = {
    "movie": ("movie", "movies", "watching history", "User watched movies "),
    "product": ("product", "items", "history", "User has purchased the following products "),
    "item": ("item", "items", "history", "User chose "),
}
"""What one thing is called, what several are, what the past is called, how it begins."""


def names_of(catalogue: Dataset, *, limit: int, ids: bool = False) -> list[str]:
    """What each item is called in prompts: one line, no two alike, none blank.

    Titles as people say them, cut at ``limit`` characters. A title that several items have, or all titles with
    ``ids``, come behind the item's id, as the paper writes ASINs: ``B0009 (Nail Lacquer)``.
    """
    plain = [clean(plain_title(title or ""), limit).replace('"', "'") for title in catalogue.items["title"]]
    often = Counter(name.casefold() for name in plain)
    found = []
    for name, item_id in zip(plain, catalogue.items["item_id"], strict=True):
        alone = name and often[name.casefold()] == 1 and not ids
        own = clean(item_id).replace('"', "'")
        found.append(clean(name if alone else f"{own} ({name})" if name else own))
    # Ids that clean to nothing or to the same, or look like somebody's title: number them, in front, where no cut
    # takes the number away; again, where a numbered name is a title itself.
    while len(taken := Counter(found)) < len(found) or "" in taken:
        found = [name if name and taken[name] == 1 else clean(f"#{i} {name}") for i, name in enumerate(found)]
    return found


def room(lm: LanguageModel, most: int, answer: int) -> tuple[Callable[[Prompt], int], int]:
    """How a prompt's length is counted, and how long it may be: ``most`` tokens, and with an answer so long."""
    if isinstance(lm, LocalLM):
        return lm.length, most if lm.context is None else min(most, lm.context - answer)
    return _words, most * 2 // 3  # a word is about a token and a half


class Wording:
    """PALR's sentences over one catalogue."""

    def __init__(self, names: Sequence[str], domain: str, measure: Callable[[Prompt], int], budget: int) -> None:
        """``measure`` and ``budget``: a prompt's length and the most it may have, answer not included."""
        self.names, self.measure, self.budget = names, measure, budget
        self.noun, self.nouns, self.past, self.before = WORDS[domain]

    def ask(
        self,
        history: Sequence[int],
        candidates: Sequence[int],
        n: int,
        *,
        profile: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> Prompt:
        """The paper's instruction and input, up to where the answer begins: one title a line, or a label in brackets.

        Without candidates it is the task ``recommend``, else ``recommend-retrieval``; with labels the answer is the
        label of one candidate. Old history goes first if there is too much; everything else always stays.
        """
        listed = " from the candidate list" if candidates else ""
        head = f"Recommend {n} other {self.nouns} based on user's {self.past}{listed}.\n{self.before}"
        tail: list[Part | Prompt] = [".\n"]
        if profile:
            tail += ["The user prefers ", joined([Quoted(word) for word in profile], ", "), ".\n"]
        if candidates:
            tail += ["The candidates are ", self._listed(candidates, labels), ".\n"]
        tail.append("Answer: (" if labels else "Answer:\n")
        groups = [self._quoted(item) for item in history] or [Prompt.of("nothing yet")]
        return fit(Prompt.of(head), groups, Prompt.of(*tail), measure=self.measure, budget=self.budget, separator=", ")

    def answer(self, items: Sequence[int]) -> Prompt:
        """What a list of these looks like when it is written."""
        return Prompt.of(*(part for item in items for part in (self.name(item), "\n")))

    def name(self, item: int) -> ItemText:
        """The item's name as foreign text."""
        return ItemText(Item(item), self.names[item])

    def window(self, candidates: Sequence[int], most: int, profile: Sequence[str] = ()) -> int:
        """How many of the candidates surely fit into one prompt, whichever they are; at least 2."""
        bare = self.measure(self.ask((), (), 10, profile=profile)) + 16
        longest = max((self.measure(Prompt.of('(A) "', self.name(item), '", ')) for item in candidates), default=1)
        return max(2, min(most, (self.budget - bare) // longest))

    def _listed(self, items: Sequence[int], labels: Sequence[str]) -> Prompt:
        marks = [f"({label}) " for label in labels] if labels else [""] * len(items)
        return joined([Prompt.of(m, self._quoted(i)) for m, i in zip(marks, items, strict=False)], ", ")

    def _quoted(self, item: int) -> Prompt:
        return Prompt.of('"', self.name(item), '"')


def _words(prompt: Prompt) -> int:
    return len(prompt.text(slots="drop").split())
