"""Token sequences -> Trie: which tokens may come next, so that a model can only spell one of the sequences."""

from __future__ import annotations

from collections.abc import Sequence

from tastemaker.errors import PromptError


class Trie:
    """The sequences of token ids a model may write, as a tree.

    Each sequence must end where no other goes on, so that "stop here" is a choice with a probability of its own and
    not a prize for the shorter title: append one end token to all. Raises `PromptError` for a sequence that is
    empty or the start of another. Of equal sequences the first index stands; ``duplicates`` has the others.
    """

    duplicates: dict[int, int]
    """Index of a repeated sequence -> index of the first one like it."""

    def __init__(self, sequences: Sequence[Sequence[int]]) -> None:
        self.duplicates = {}
        self._next: list[dict[int, int]] = [{}]
        self._index: dict[int, int] = {}
        for index, sequence in enumerate(sequences):
            self._add(index, sequence)
        for node, index in self._index.items():
            if self._next[node]:
                raise PromptError(f"sequence {index} is the start of another; append an end token to every sequence")

    def allowed(self, prefix: Sequence[int]) -> list[int]:
        """The tokens that may follow, ascending; none when a sequence is complete or the prefix starts no sequence."""
        node = self._walk(prefix)
        return [] if node is None else sorted(self._next[node])

    def terminal(self, prefix: Sequence[int]) -> int | None:
        """The index of the sequence that the prefix completes, or None."""
        node = self._walk(prefix)
        return None if node is None else self._index.get(node)

    def _add(self, index: int, sequence: Sequence[int]) -> None:
        if not len(sequence):
            raise PromptError(f"sequence {index} has no tokens, so nothing could be written for it")
        node = 0
        for token in sequence:
            if token not in self._next[node]:
                self._next[node][token] = len(self._next)
                self._next.append({})
            node = self._next[node][token]
        first = self._index.setdefault(node, index)
        if first != index:
            self.duplicates[index] = first

    def _walk(self, prefix: Sequence[int]) -> int | None:
        node: int | None = 0
        for token in prefix:
            node = self._next[node].get(token) if node is not None else None
        return node
