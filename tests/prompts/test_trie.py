"""The trie lets through its own sequences, all of them and nothing else."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.errors import PromptError
from tastemaker.prompts import Trie

END = 0
EXAMPLES = settings(max_examples=int(os.environ.get("TASTEMAKER_EXAMPLES", "200")), deadline=None)
sequences = st.lists(st.lists(st.integers(1, 4), max_size=5).map(lambda tokens: [*tokens, END]), max_size=12)


def written(trie, prefix=()):
    """Every sequence the trie lets through."""
    if trie.terminal(prefix) is not None:
        yield tuple(prefix)
    for token in trie.allowed(prefix):
        yield from written(trie, (*prefix, token))


@EXAMPLES
@given(sequences)
def test_exactly_the_sequences_can_be_written(rows):
    trie = Trie(rows)
    assert sorted(written(trie)) == sorted({tuple(row) for row in rows})
    for index, row in enumerate(rows):
        first = rows.index(row)
        assert trie.terminal(row) == first
        assert trie.duplicates.get(index, index) == first
        assert trie.allowed(row) == []
    assert set(trie.duplicates) == {i for i, row in enumerate(rows) if rows.index(row) < i}


def test_allowed_tokens_follow_the_prefix():
    trie = Trie([[5, 7, END], [5, END], [5, 3, END], [9, END]])
    assert trie.allowed([]) == [5, 9]
    assert trie.allowed([5]) == [END, 3, 7]
    assert trie.allowed([8]) == trie.allowed([5, 7, END, 1]) == trie.allowed([8, 5]) == []
    assert trie.terminal([5]) is trie.terminal([8]) is trie.terminal([]) is None
    assert (trie.terminal([5, END]), trie.terminal([5, 7, END])) == (1, 0)


@pytest.mark.parametrize("rows", [[[5], [5, 7]], [[5, 7], [5]]])
def test_a_sequence_that_starts_another_is_refused(rows):
    with pytest.raises(PromptError, match="end token"):
        Trie(rows)


def test_an_empty_sequence_is_refused():
    with pytest.raises(PromptError, match="sequence 1 has no tokens"):
        Trie([[5], []])


def test_a_trie_of_nothing_allows_nothing():
    assert Trie([]).allowed([]) == []
