"""Whatever the ranker says, lists are in the catalogue, unseen, unique and full."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from films import N_FILMS, N_USERS, films, films_split
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import Dataset, Recommender, collab
from tastemaker.collab.base import CollaborativeModel
from tastemaker.errors import LanguageModelError, PromptError, UsageError
from tastemaker.llm.fake import LIARS, FakeLM
from tastemaker.methods.base import Method
from tastemaker.prompts.prompt import Item as Shown
from tastemaker.prompts.prompt import Prompt
from tastemaker.recommend import lists
from tastemaker.recommend.lists import best, checked, ranking
from tastemaker.types import FloatArray, Item, Progress, Query, Ranking, quiet

SPLIT = films_split()
DATA = SPLIT.dataset
USERS = [f"u{u}" for u in range(N_USERS)]


class Stub(Method):
    """Scores as it is told to."""

    def __init__(self, answer: Callable[[Sequence[Query]], Any]) -> None:
        self.answer, self.catalogue, self.asked = answer, DATA, list[Query]()

    def tune(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def score(self, queries: Sequence[Query], *, progress: Progress = quiet) -> list[FloatArray]:
        self.asked += queries
        return self.answer(queries)  # type: ignore[no-any-return]

    def save(self, path: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, path: Path) -> Any:
        raise NotImplementedError


class Gullible(Stub):
    """Lets a language model write the list and believes every line of it, whatever is named and whether it exists."""

    def __init__(self, llm: FakeLM) -> None:
        super().__init__(lambda queries: [])
        self.llm = llm

    def rank(self, query: Query) -> Ranking:
        shown = [Shown(Item(i), DATA.titles[i]) for i in (*query.history, *query.candidates)]
        (text,) = self.llm.generate([Prompt.of("Recommend: ", *shown)], max_new_tokens=10_000, stop="")
        titles = {title: i for i, title in enumerate(DATA.titles)}
        lines = [line.strip() for line in text.replace(",", "\n").splitlines()[:3000]]
        numbers = [titles.get(line, -1) for line in lines]
        return Ranking(tuple(map(Item, numbers)), tuple(float(-i) for i in range(len(numbers))))


@pytest.fixture(scope="module")
def retriever() -> CollaborativeModel:
    return collab.models.get("cooccurrence")().fit(SPLIT)


def best_last(queries: Sequence[Query]) -> list[FloatArray]:
    """The retriever's order upside down."""
    return [np.arange(len(q.candidates), dtype=np.float32) for q in queries]


def require_good(frame: pl.DataFrame, n: int, users: Sequence[str] = USERS) -> None:
    assert frame.columns == ["user_id", "item_id", "rank", "score", "title"]
    assert frame["user_id"].unique(maintain_order=True).to_list() == list(users)
    for (user,), rows in frame.group_by("user_id", maintain_order=True):
        seen = {f"f{i}" for i in DATA.history(int(str(user)[1:]))}
        assert rows["rank"].to_list() == list(range(1, n + 1))
        assert rows["item_id"].n_unique() == n
        assert set(rows["item_id"]) <= set(DATA.items["item_id"]) - seen


def test_without_a_ranker_the_retrievers_order_is_the_list(retriever: CollaborativeModel) -> None:
    recommender = Recommender(retriever, data=SPLIT)
    frame = recommender.recommend(users=USERS, n=5)
    require_good(frame, 5)
    first = frame.filter(pl.col("user_id") == "u3")
    scores = retriever.score([Query(tuple(map(Item, DATA.history(3).tolist())))])[0]
    scores[DATA.history(3)] = -np.inf
    assert first["item_id"].to_list() == [f"f{i}" for i in np.argsort(-scores, kind="stable")[:5]]
    assert first["score"].to_list() == pytest.approx(np.sort(scores)[::-1][:5].tolist())
    assert first["title"][0] == DATA.titles[int(first["item_id"][0][1:])]
    assert (recommender.repairs, recommender.degraded) == (0, False)


def test_the_ranker_reorders_what_the_retriever_proposed(retriever: CollaborativeModel) -> None:
    stub = Stub(best_last)
    recommender = Recommender(retriever, stub, n_candidates=7)
    plain = Recommender(retriever, data=DATA).recommend(users=["u0"], n=7)["item_id"].to_list()
    assert recommender.recommend(users=["u0"], n=7)["item_id"].to_list() == plain[::-1]
    assert recommender.recommend(users=["u0"], n=3)["item_id"].to_list() == plain[:3:-1]
    assert [len(query.candidates) for query in stub.asked] == [7, 7]
    recommender.recommend(users=["u0"], n=12)
    assert len(stub.asked[-1].candidates) == 12
    assert recommender.repairs == 0


LIES: dict[str, Callable[[Sequence[Query]], Any]] = {
    "no arrays": lambda qs: [],
    "one array": lambda qs: best_last(qs)[:1] if len(qs) > 1 else [],
    "empty arrays": lambda qs: [np.array([]) for _ in qs],
    "too short": lambda qs: [row[:-1] for row in best_last(qs)],
    "too long": lambda qs: [np.append(row, 99) for row in best_last(qs)],
    "the whole catalogue": lambda qs: [np.arange(N_FILMS) for _ in qs],
    "a matrix": lambda qs: [row[:, None] for row in best_last(qs)],
    "text": lambda qs: [["Film 1 (1991)"] * len(q.candidates) for q in qs],
    "nothing": lambda qs: [None for _ in qs],
    "nan": lambda qs: [np.full(len(q.candidates), np.nan) for q in qs],
    "some nan": lambda qs: [np.where(row % 2, row, np.nan) for row in best_last(qs)],
    "infinite": lambda qs: [np.full(len(q.candidates), np.inf) for q in qs],
    "minus infinity": lambda qs: [np.where(row > 3, row, -np.inf) for row in best_last(qs)],
}


@pytest.mark.parametrize("lie", LIES)
def test_scores_that_are_none_are_repaired_and_counted(lie: str, retriever: CollaborativeModel) -> None:
    recommender = Recommender(retriever, Stub(LIES[lie]))
    frame = recommender.recommend(users=USERS, n=10)
    require_good(frame, 10)
    lost = {"some nan": 0, "minus infinity": 0}.get(lie, 10 * N_USERS)
    assert recommender.repairs == lost
    assert frame["score"].null_count() == lost
    assert frame["score"].drop_nulls().is_finite().all()
    assert recommender.degraded is False


@pytest.mark.parametrize("mode", LIARS)
def test_no_lie_of_a_language_model_reaches_a_list(mode: str, retriever: CollaborativeModel) -> None:
    """P1: twenty liars, two hundred users."""
    many = films(200)
    recommender = Recommender(retriever, Gullible(FakeLM(mode=mode)), many)
    for answer, user in zip(
        recommender.answer([recommender.query(user=u) for u in many.users["user_id"]]), range(200), strict=True
    ):
        assert len(set(answer.items)) == 10
        assert set(answer.items) <= set(range(N_FILMS)) - set(many.history(user).tolist())
    require_good(recommender.recommend(users=USERS, n=22), 22)
    assert recommender.repairs > 0 or mode in ("all-titles", "never-stops")


@settings(max_examples=200)
@given(st.integers(0, 5), st.integers(1, 12), st.integers(1, 15), st.integers(0, 2**32), st.integers(1, 40))
def test_the_best_of_many_are_those_of_each(queries: int, items: int, n: int, seed: int, cells: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.choice(np.array([-np.inf, -1.5, -0.0, 0.0, 2.0, 3.0], dtype=np.float32), size=(queries, items))
    allowed = rng.random((queries, items)) < rng.random()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "_CELLS", cells)
        found = best(scores, allowed, n)
    slow = [
        sorted(np.flatnonzero(ok).tolist(), key=lambda i: -row[i])[:n] for row, ok in zip(scores, allowed, strict=True)
    ]
    assert [one.tolist() for one in found] == slow


@given(
    proposed=st.lists(
        st.tuples(
            st.one_of(st.integers(-3, 15), st.integers(), st.none(), st.text(max_size=3), st.floats(), st.booleans()),
            st.one_of(st.floats(), st.none(), st.text(max_size=3)),
        ),
        max_size=30,
    ),
    allowed=st.lists(st.booleans(), min_size=12, max_size=12),
    n=st.integers(1, 15),
)
@settings(max_examples=300)
def test_a_checked_list_holds_whatever_was_proposed(proposed: list[Any], allowed: list[bool], n: int) -> None:
    may = np.array(allowed)
    fallback = np.flatnonzero(may)
    items, scores = zip(*proposed, strict=True) if proposed else ((), ())
    answer = checked(Ranking(items, scores), fallback, n, may)
    assert len(answer.items) == len(answer.scores) == len(set(answer.items)) == min(n, len(fallback))
    assert all(may[i] for i in answer.items)
    assert 0 <= answer.repairs <= len(answer.items)
    assert all(score is None or np.isfinite(score) for score in answer.scores)
    assert sum(score is None for score in answer.scores) <= answer.repairs


def test_repairs_count_the_first_places_that_were_wasted() -> None:
    allowed = np.array([True] * 6 + [False])
    proposed = Ranking((Item(5), Item(6), Item(5), Item(4), Item(3)), (9.0, 8.0, 7.0, 6.0, 5.0))
    assert checked(proposed, range(6), 3, allowed).items == (5, 4, 3)
    assert checked(proposed, range(6), 3, allowed).repairs == 2
    assert checked(proposed, range(6), 5, allowed).items == (5, 4, 3, 0, 1)
    assert checked(proposed, range(6), 5, allowed).scores == (9.0, 6.0, 5.0, None, None)


def test_ties_keep_the_order_shown() -> None:
    assert ranking([4, 2, 9], [1.0, 1.0, 2.0]).items == (9, 4, 2)


def fails(queries: Sequence[Query]) -> list[FloatArray]:
    raise LanguageModelError("the server does not answer")


def test_when_the_language_model_fails_the_retriever_answers(retriever: CollaborativeModel) -> None:
    recommender = Recommender(retriever, Stub(fails))
    plain = Recommender(retriever, data=DATA)
    assert recommender.recommend(users=USERS).equals(plain.recommend(users=USERS))
    assert recommender.degraded is True
    assert recommender.repairs == 0
    assert recommender.score([("u0", "f9")]).equals(plain.score([("u0", "f9")]))
    assert recommender.explain("f9", user="u0").degraded is True
    recommender.ranker = Stub(best_last)
    recommender.recommend(users=["u0"])
    assert recommender.degraded is False


def test_without_room_for_the_candidates_the_retriever_answers(retriever: CollaborativeModel) -> None:
    def crowded(queries: Sequence[Query]) -> list[FloatArray]:
        raise PromptError("without any history the prompt still takes 2261 of 1472")

    recommender, plain = Recommender(retriever, Stub(crowded)), Recommender(retriever, data=DATA)
    assert recommender.recommend(users=USERS).equals(plain.recommend(users=USERS))
    assert recommender.degraded is True
    assert recommender.score([("u0", "f9")]).equals(plain.score([("u0", "f9")]))


def test_other_errors_are_not_hidden(retriever: CollaborativeModel) -> None:
    def broken(queries: Sequence[Query]) -> list[FloatArray]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Recommender(retriever, Stub(broken)).recommend(users=["u0"])


def test_new_users_come_as_histories(retriever: CollaborativeModel) -> None:
    recommender = Recommender(retriever, data=SPLIT)
    known = [f"f{i}" for i in DATA.history(4)]
    by_user = recommender.recommend(users=["u4"], n=4)
    by_history = recommender.recommend(histories=[known], n=4)
    assert by_history["item_id"].equals(by_user["item_id"])
    assert by_history["user_id"].to_list() == ["0"] * 4
    named = recommender.recommend(histories={"ann": known, "bob": []}, n=4)
    assert named["user_id"].unique(maintain_order=True).to_list() == ["ann", "bob"]


def test_candidates_limit_and_seen_items_may_be_let_in(retriever: CollaborativeModel) -> None:
    recommender = Recommender(retriever, Stub(best_last))
    seen = f"f{DATA.history(0)[0]}"
    frame = recommender.recommend(users=["u0"], n=10, candidates=[seen, "f20", "f21", "f20"])
    assert sorted(frame["item_id"]) == ["f20", "f21"]
    frame = recommender.recommend(users=["u0"], n=10, candidates=[seen, "f20", "f21"], filter_seen=False)
    assert sorted(frame["item_id"]) == sorted([seen, "f20", "f21"])
    assert recommender.recommend(users=["u0"], candidates=[seen]).is_empty()
    assert recommender.recommend(users=["u0"], candidates=[]).is_empty()
    assert recommender.recommend(users=["u0"], n=99)["item_id"].n_unique() == N_FILMS - 8


def test_an_empty_request_has_an_empty_answer(retriever: CollaborativeModel) -> None:
    frame = Recommender(retriever, Stub(best_last)).recommend(users=[])
    assert frame.is_empty()
    assert frame.columns == ["user_id", "item_id", "rank", "score", "title"]


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda r: r.recommend(users=["u99"]), "no user with id 'u99'.*history of item ids"),
        (lambda r: r.recommend(histories=[["x"]]), "no item with id 'x'"),
        (lambda r: r.recommend(users=["u0"], candidates=["x"]), "no item with id 'x'"),
        (lambda r: r.recommend(), "either users"),
        (lambda r: r.recommend(users=["u0"], histories=[[]]), "either users"),
        (lambda r: r.recommend(users="u0"), "list"),
        (lambda r: r.recommend(histories=["f1", "f2"]), "list of lists"),
        (lambda r: r.recommend(users=["u0"], n=0), "n is 0"),
        (lambda r: r.score([("u0", "x")]), "no item"),
        (lambda r: r.explain("f1"), "either user"),
        (lambda r: r.explain("f1", user="nobody"), "no user"),
    ],
)
def test_a_wrong_question_is_told_in_one_line(ask: Any, told: str, retriever: CollaborativeModel) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        ask(Recommender(retriever, data=DATA))
    assert "\n" not in str(caught.value)


def test_parts_must_be_of_one_catalogue(retriever: CollaborativeModel) -> None:
    other = films(3)
    with pytest.raises(UsageError, match="give the dataset"):
        Recommender(retriever)
    with pytest.raises(UsageError, match="fit it on this data"):
        Recommender(retriever, data=other.compact())
    stub = Stub(best_last)
    stub.catalogue = other.compact()
    with pytest.raises(UsageError, match="tuned on other items"):
        Recommender(retriever, stub, DATA)


def test_users_must_have_the_numbers_the_retriever_knows_them_by() -> None:
    rows = [(f"v{n}", f"i{n}", 0) for n in range(9)]
    rows += [(f"u{n}", f"i{(n + k) % 10}", k) for n in range(12) for k in range(6)]
    frame = pl.DataFrame(rows, ["user_id", "item_id", "time"], orient="row")
    data = Dataset.from_frames(frame, name="with light users")
    split: Any = data.split("leave-one-out", k_core=2)  # drops users alone
    model = collab.models.get("bpr-mf")(epochs=1).fit(split)
    ensemble = collab.models.get("ensemble").of([model])  # type: ignore[attr-defined]
    assert split.dataset.n_items == data.n_items
    for retriever in (model, ensemble):
        assert Recommender(retriever, data=split).recommend(users=["u3"], n=2).height == 2
        with pytest.raises(UsageError, match="knows 12 users by number, with light users has 21"):
            Recommender(retriever, data=data)


def test_scores_come_in_the_order_asked(retriever: CollaborativeModel) -> None:
    recommender = Recommender(retriever, Stub(best_last))
    frame = recommender.score([("u1", "f20"), ("u0", "f9"), ("u1", "f21"), ("u1", "f20")])
    assert frame["user_id"].to_list() == ["u1", "u0", "u1", "u1"]
    assert frame["score"].to_list() == [0.0, 0.0, 1.0, 0.0]


def test_judged_over_the_catalogue_the_rest_stays_below(retriever: CollaborativeModel) -> None:
    recommender = Recommender(retriever, Stub(best_last), n_candidates=4)
    query = recommender.query(user="u0")
    (scores,) = recommender.score_queries([query])
    listed = [int(i[1:]) for i in recommender.recommend(users=["u0"], n=4)["item_id"]]
    order = [i for i in np.argsort(-scores).tolist() if i not in query.history]
    assert order[:4] == listed
    plain = Recommender(retriever, data=DATA).recommend(users=["u0"], n=22)["item_id"].to_list()
    assert [f"f{i}" for i in order[4:]] == plain[4:]


def test_judging_hides_no_failure(retriever: CollaborativeModel) -> None:
    with pytest.raises(LanguageModelError):
        Recommender(retriever, Stub(fails)).score_queries([SPLIT.test[0].query])


@pytest.mark.parametrize("concurrent", [True, False])
def test_who_waits_for_a_server_holds_up_nobody_and_a_model_here_answers_one_at_a_time(concurrent: bool) -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    class Waiting(Stub):
        concurrent = False

    def wait(queries: Sequence[Query]) -> Any:
        entered.release()
        assert leave.wait(10)
        return [np.zeros(len(query.candidates), np.float32) for query in queries]

    ranker = Waiting(wait)
    Waiting.concurrent = concurrent
    recommender = Recommender(collab.Popularity().fit(SPLIT), ranker, DATA)
    threads = [threading.Thread(target=recommender.recommend, kwargs={"users": USERS[:1]}) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert entered.acquire(timeout=10)
    assert entered.acquire(timeout=10 if concurrent else 0.2) == concurrent
    leave.set()
    for thread in threads:
        thread.join()


def test_the_ranker_is_asked_with_all_that_was_said(retriever: CollaborativeModel) -> None:
    ranker = Stub(best_last)
    query = Query((Item(0), Item(1)), (), None, 7.0, text="a short one", likes=(True, False))
    recommender = Recommender(retriever, ranker)
    recommender.answer([query])
    recommender.score_queries([query])
    assert len(ranker.asked) == 2
    assert all(replace(one, candidates=()) == query and one.candidates for one in ranker.asked)
