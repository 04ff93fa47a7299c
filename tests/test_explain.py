"""An explanation says what was measured and looked up, in one sentence, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from films import films, films_split
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import Dataset, Recommender, collab
from tastemaker.collab.base import CollaborativeModel
from tastemaker.errors import LanguageModelError
from tastemaker.methods.base import Method
from tastemaker.recommend import Evidence
from tastemaker.recommend.explain import LATEST, attributes, sentence
from tastemaker.types import FloatArray, Progress, Query, quiet

SPLIT = films_split()


class Likes(Method):
    """Film 5 in the history is worth 3 points to film 20, film 8 is worth 2, film 6 costs 1; the rest is nothing.

    Everybody's scores also rise with the length of the history, which must not look like evidence.
    """

    worth = {5: 3.0, 8: 2.0, 6: -1.0}  # noqa: RUF012

    def __init__(self, *, fail_at: int | None = None) -> None:
        self.catalogue, self.asked, self.fail_at = SPLIT.dataset, 0, fail_at

    def score(self, queries: Sequence[Query], *, progress: Progress = quiet) -> list[FloatArray]:
        self.asked += len(queries)
        if self.fail_at is not None and self.asked >= self.fail_at:
            raise LanguageModelError("gone")
        return [self._row(query) for query in queries]

    def _row(self, query: Query) -> FloatArray:
        row = np.full(len(query.candidates), 10.0 * len(query.history), dtype=np.float32)
        row[np.array(query.candidates) == 20] += sum(self.worth.get(i, 0.0) for i in query.history)
        return row

    def tune(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def save(self, path: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, path: Path) -> Any:
        raise NotImplementedError


@pytest.fixture(scope="module")
def retriever() -> CollaborativeModel:
    return collab.models.get("cooccurrence")().fit(SPLIT)


HISTORY = ["f4", "f5", "f6", "f7", "f8"]


def test_the_evidence_is_what_leaving_out_did(retriever: CollaborativeModel) -> None:
    found = Recommender(retriever, Likes()).explain("f20", history=HISTORY)
    effects = {one.item_id: one.effect for one in found.evidence}
    share = found.rivals / (found.rivals + 1)  # what the target gains, the mean of all gains a little too
    assert effects == pytest.approx({"f5": 3 * share, "f8": 2 * share, "f4": 0, "f7": 0, "f6": -share}, abs=1e-5)
    assert [one.item_id for one in found.evidence][:2] == ["f5", "f8"]
    assert found.evidence[-1].item_id == "f6"
    assert (found.item_id, found.title, found.place, found.rivals) == ("f20", "Film 20 (2010)", 1, 19)
    assert found.degraded is False


def test_the_sentence_names_what_was_found(retriever: CollaborativeModel) -> None:
    found = Recommender(retriever, Likes()).explain("f20", history=HISTORY)
    assert found.sentence == (
        '"Film 5 (1995)" and "Film 8 (1998)" in the history speak most for "Film 20 (2010)"; they share Drama.'
    )


def test_a_known_user_is_explained_by_what_they_saw(retriever: CollaborativeModel) -> None:
    recommender = Recommender(retriever, data=SPLIT)
    seen = [f"f{i}" for i in SPLIT.dataset.history(2)]
    assert recommender.explain("f12", user="u2") == recommender.explain("f12", history=seen)
    found = recommender.explain("f12", user="u2")
    assert {one.item_id for one in found.evidence} == set(seen)
    assert found.evidence[0].effect > 0


def test_who_is_known_by_number_is_explained_by_what_they_saw_too() -> None:
    recommender = Recommender(collab.models.get("bpr-mf")(epochs=3).fit(SPLIT), data=SPLIT)
    found = recommender.explain("f12", user="u2")
    assert found.score == pytest.approx(recommender.score([("u2", "f12")])["score"][0], abs=1e-5)
    assert any(one.effect > 0 for one in found.evidence)
    assert any(one.effect < 0 for one in found.evidence)


def test_the_one_item_of_a_history_speaks_for_its_neighbour(retriever: CollaborativeModel) -> None:
    found = Recommender(retriever, data=SPLIT).explain("f9", history=["f8"])
    assert 0 < found.evidence[0].effect < 1
    assert found.sentence.startswith('"Film 8 (1998)" in the history speaks most for "Film 9 (1999)"')


def test_only_the_latest_items_are_left_out_and_repeats_once(retriever: CollaborativeModel) -> None:
    ranker = Likes()
    history = [f"f{i % 28}" for i in range(50)]
    found = Recommender(retriever, ranker).explain("f29", history=history)
    assert len(found.evidence) == LATEST
    assert ranker.asked == LATEST + 1
    assert {one.item_id for one in found.evidence} == {f"f{i % 28}" for i in range(30, 50)}


@pytest.mark.parametrize("fail_at", [1, 3])
def test_a_failing_language_model_leaves_the_retrievers_reasons(fail_at: int, retriever: CollaborativeModel) -> None:
    found = Recommender(retriever, Likes(fail_at=fail_at)).explain("f12", user="u2")
    plain = Recommender(retriever, data=SPLIT).explain("f12", user="u2")
    assert found.degraded is True
    assert found.evidence == plain.evidence
    assert found.sentence == plain.sentence


def test_an_empty_history_explains_nothing(retriever: CollaborativeModel) -> None:
    found = Recommender(retriever, data=SPLIT).explain("f3", history=[])
    assert found.evidence == ()
    assert found.sentence == 'There is no history that could speak for "Film 3 (1993)".'


def test_where_no_item_matters_that_is_what_is_said() -> None:
    model = collab.models.get("popularity")().fit(SPLIT)
    found = Recommender(model, data=SPLIT).explain("f9", history=["f0", "f3", "f4"])
    assert found.sentence == (
        'No single item of the history raised the score of "Film 9 (1999)"; it shares the 1990s with 3 of the latest 3.'
    )


def test_the_answer_is_plain_values_for_json(retriever: CollaborativeModel) -> None:
    told = Recommender(retriever, data=SPLIT).explain("f9", user="u0").as_dict()
    assert told["evidence"][0].keys() == {"item_id", "title", "effect", "shared"}


def evidence(*items: tuple[str, float, tuple[str, ...]]) -> list[Evidence]:
    return [Evidence(title, title, effect, shared) for title, effect, shared in items]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (evidence(("Heat", 1, ("Crime",))), '"Heat" in the history speaks most for "X"; they share Crime.'),
        (
            evidence(("Heat", 2, ("Crime", "the 1990s")), ("Ran", 1, ("the 1990s",))),
            '"Heat" and "Ran" in the history speak most for "X"; they share the 1990s.',
        ),
        (
            evidence(("Heat", 2, ()), ("Ran", 1, ("War", "Drama"))),
            '"Heat" and "Ran" in the history speak most for "X"; "Ran" shares War and Drama with it.',
        ),
        (evidence(("Heat", 9, ()), ("Ran", 0.1, ())), '"Heat" in the history speaks most for "X".'),
        (
            evidence(("A", 4, ()), ("B", 3, ()), ("C", 2, ()), ("D", 1, ())),
            '"A", "B" and "C" in the history speak most for "X".',
        ),
        (evidence(("A", -1, ())), 'No single item of the history raised the score of "X".'),
        (evidence(("A\n\x1b[2J", 1, ())), '"A [2J" in the history speaks most for "X".'),
    ],
)
def test_sentences(found: list[Evidence], told: str) -> None:
    assert sentence("X", found) == told


@given(
    st.lists(
        st.tuples(st.text(max_size=20), st.floats(-5, 5), st.lists(st.sampled_from(["Crime", "Drama", "the 1990s"]))),
        max_size=8,
    ),
    st.text(max_size=20),
)
@settings(max_examples=100)
def test_a_sentence_is_one_line_for_any_titles(items: list[Any], title: str) -> None:
    told = sentence(title, evidence(*((t, e, tuple(dict.fromkeys(s))) for t, e, s in items)))
    assert told.isprintable()
    assert told.endswith(".")


def test_attributes_are_those_of_the_catalogue() -> None:
    data = films()
    assert attributes(data, 4) == ("Comedy", "the 1990s")
    assert attributes(data, 15) == ("Crime", "the 2000s")
    rows = pl.DataFrame({"user_id": ["u"] * 3, "item_id": ["a", "b", "c"]})
    bare = Dataset.from_frames(rows, name="bare")
    assert [attributes(bare, i) for i in range(3)] == [()] * 3
    items = pl.DataFrame({"item_id": ["a", "b", "c"], "year": [None, 0, 1999], "genres": [None, [None, ""], ["War"]]})
    some = Dataset.from_frames(rows, items, name="some")
    assert list(itertools.chain(*(attributes(some, i) for i in range(3)))) == ["War", "the 1990s"]
