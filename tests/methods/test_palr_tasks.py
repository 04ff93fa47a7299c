"""Instruction data: the future is the answer, candidates are hard, and the weak ones are marked."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tastemaker.collab.popularity import Popularity
from tastemaker.data.dataset import Dataset
from tastemaker.methods._palr_fusion import FEATURES, Weights, chosen, features, gain, pooled, retrieval_ceiling
from tastemaker.methods._palr_profile import Keywords
from tastemaker.methods._palr_tasks import Tasks, chosen_users
from tastemaker.methods.palr import PALR
from tastemaker.testing.methods import asked, chains, under
from tastemaker.testing.tiny_llm import tiny_lm
from tastemaker.tuning.stages import Group

SPLIT = chains()
N = 20


def tasks(**options):
    settings = {"history": 4, "n": N, "tasks": ("recommend", "recommend-retrieval"), **options}
    return Tasks(SPLIT, Keywords(SPLIT.dataset).table, **settings)


def every(rounds=3):
    made = tasks()
    users = range(len(SPLIT.sequences))
    return [one for seed in range(rounds) for one in made.epoch(list(users), np.random.default_rng(seed))]


def test_examples_hold_together():
    examples = every()
    assert {one.task for one in examples} == {"recommend", "recommend-retrieval"}
    for one in examples:
        assert len(one.history) <= 4
        assert one.answer
        assert len(set(one.answer)) == len(one.answer) <= 10
        assert set(one.answer).isdisjoint(one.history)
        assert set(one.weak) <= set(one.answer)
        assert one.answer[len(one.answer) - len(one.weak) :] == one.weak
        if one.task == "recommend":
            assert not one.candidates
        else:
            assert set(one.answer) <= set(one.candidates)
            assert len(set(one.candidates)) == len(one.candidates) == N
            assert set(one.history).isdisjoint(one.candidates)


def test_nothing_of_valid_or_test_is_an_answer_unless_weak():
    chosen_by = {tuple(s.tolist()) for s in SPLIT.sequences}
    for one in every(1):
        strong = {*one.history, *one.answer} - set(one.weak)
        assert any(strong <= set(sequence) for sequence in chosen_by)


def test_answers_come_after_the_history_but_for_some_that_are_swapped():
    made, swaps, all_ = tasks(history=50), 0, 0
    for user, sequence in enumerate(SPLIT.sequences):
        first = {item: i for i, item in reversed(list(enumerate(sequence.tolist())))}
        one = made.example(user, "recommend", np.random.default_rng(user))
        strong = one.answer[: len(one.answer) - len(one.weak)]
        latest = max((first[i] for i in one.history), default=-1)
        swaps += sum(first[item] < latest for item in strong)
        all_ += len(strong)
    assert 0 < swaps < 0.6 * all_


def test_weak_items_are_three_steps_away():
    made = tasks()
    edges = {(u, int(i)) for u, s in enumerate(SPLIT.sequences) for i in s}
    for user in (0, 1):
        own = {i for u, i in edges if u == user}
        near = {u for u, i in edges if i in own}
        reach = {i for u, i in edges if u in near}
        assert set(np.flatnonzero(made.affinity(user)).tolist()) == reach


def evens():
    """Forty items; everybody watches six even ones, which are all of one genre."""
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{2 * i}", t) for u in range(20) for t, i in enumerate(rng.permutation(20)[:6])]
    items = pl.DataFrame(
        {"item_id": [f"i{i}" for i in range(40)], "genres": [["A"] if i % 2 == 0 else ["B"] for i in range(40)]}
    )
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    return Dataset.from_frames(frame, items, name="evens").split("leave-one-out", k_core=0)


def test_negatives_are_like_the_answer_or_watched_with_it():
    split = evens()
    made = Tasks(split, Keywords(split.dataset).table, history=4, n=14, tasks=("recommend-retrieval",))
    for user in range(20):
        one = made.example(user, "recommend-retrieval", np.random.default_rng(user))
        assert len(one.candidates) == 14
        assert len(one.weak) > 0
        assert all(item % 2 == 0 for item in one.candidates)
    wide = Tasks(split, Keywords(split.dataset).table, history=4, n=30, tasks=("recommend-retrieval",))
    one = wide.example(0, "recommend-retrieval", np.random.default_rng(0))
    assert len(one.candidates) == 30  # any item will do, where there are no others
    bare = Tasks(
        split,
        Keywords(split.dataset.of_items(split.dataset.items.select("item_id", "title"))).table,
        history=4,
        n=14,
        tasks=("recommend-retrieval",),
    )
    assert len(bare.example(0, "recommend-retrieval", np.random.default_rng(0)).candidates) == 14


def test_users_are_a_share_and_the_same_again():
    users = chosen_users(100, 0.2, 3)
    assert len(users) == len(set(users.tolist())) == 20
    np.testing.assert_array_equal(users, chosen_users(100, 0.2, 3))
    assert chosen_users(3, 0.01, 0).shape == (1,)


def made_pools(n=400, width=20, *, helpful="", against=""):
    """The right item at a random place; the feature that is named speaks for it or against it, the others are noise."""
    rng = np.random.default_rng(0)
    pools = rng.normal(size=(n, len(FEATURES), width)).astype(np.float32)
    at = rng.integers(width, size=n).astype(np.int32)
    pools[:, 0] -= 0.1 * np.arange(width)
    pools[np.arange(n), 0, at] += 1.0
    if not helpful and not against:
        pools[:, 1:] = 0
    for name, shift in ((helpful, 2.0), (against, -2.0)):
        if name:
            pools[np.arange(n), FEATURES.index(name), at] += shift
    return pools, at


def test_the_fusion_takes_what_helps_and_else_leaves_the_retriever():
    pools, at = made_pools(helpful="model")
    best = chosen(pools, at)
    assert best.model > 0
    assert gain(best.score(pools), at) > gain(Weights().score(pools), at)
    assert chosen(*made_pools()) == Weights()
    assert chosen(pools, at, ("retriever", "rank")).model == 0


def test_only_popularity_may_speak_against_an_item():
    assert chosen(*made_pools(against="popularity")).popularity < -0.5
    assert chosen(*made_pools(against="told")).told == 0


def test_weights_are_the_likeliest_ones_and_of_no_scale():
    pools, at = made_pools(helpful="model")
    best = chosen(pools, at, ("retriever", "model"))

    def likelihood(retriever, model):
        scores = Weights(retriever=retriever, model=model).score(pools).astype(np.float64)
        return float((scores[np.arange(len(at)), at] - np.log(np.exp(scores).sum(axis=1))).sum())

    top = likelihood(best.retriever, best.model)
    for apart in (-0.2, 0.2):
        assert likelihood(best.retriever + apart, best.model) < top
        assert likelihood(best.retriever, best.model + apart) < top
    assert likelihood(best.retriever + 1e-3, best.model) == pytest.approx(top, abs=0.1)  # the summit, nearly flat
    scaled = pools.copy()
    scaled[:, FEATURES.index("model")] *= 100
    assert chosen(scaled, at, ("retriever", "model")).model == pytest.approx(best.model / 100, rel=1e-3)


def test_shorter_pools_count_for_what_is_in_them():
    pools, at = made_pools(helpful="model")
    some = at < 12
    short = pools[some].copy()
    short[:, :, 12:] = np.nan
    ours, cut = chosen(short, at[some]), chosen(pools[some][:, :, :12], at[some])
    np.testing.assert_allclose(list(ours.model_dump().values()), list(cut.model_dump().values()), atol=1e-3)


def test_gain_is_ndcg_and_ties_count_against():
    scores = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 1.0]], np.float32)
    assert gain(scores, np.array([0, 0], np.int32)) == pytest.approx((1 + 1 / np.log2(4)) / 2)
    assert gain(scores, np.array([2, 2], np.int32), k=2) == 0


def test_ranks_leave_out_what_was_seen_and_share_places():
    retrieved = np.array([[5.0, 4.0, 4.0, 1.0]], np.float32)
    seen = np.array([[True, False, False, False]])
    silent = np.zeros((1, 2, 4), np.float32)
    found = features(retrieved, seen, np.array([4.0, 3.0, 2.0, 1.0], np.float32), silent, silent[:, 0])
    np.testing.assert_array_equal(found[0, FEATURES.index("popularity")], [4, 3, 2, 1])
    np.testing.assert_allclose(found[0, 1], -np.log1p([0, 0, 0, 2]))


def test_the_ceiling_is_the_retrievers_hit_rate():
    retriever, cases = under(), SPLIT.test
    hits = 0
    for case in cases:
        row = retriever.score([case.query])[0].astype(float)
        row[list(case.query.history)] = -np.inf
        hits += case.positive in np.argsort(-row, kind="stable")[:5]
    assert retrieval_ceiling(retriever, cases, 5) == pytest.approx(hits / len(cases), abs=0.03)
    assert retrieval_ceiling(retriever, cases, SPLIT.dataset.n_items) == 1


@pytest.fixture(scope="module")
def tuned():
    return PALR(tiny_lm(), under(), epochs=6, batch_positions=256, validate_cases=8, n=10).tune(SPLIT)


def test_the_profile_stands_behind_and_changes_only_what_comes_after(tuned):
    query = asked(SPLIT, n=1)[0]
    with_profile = tuned.reading.answers([query])
    encoded, (before, after) = tuned.reading.asked(query)
    assert after == len(encoded) - 1 > before
    bare = tuned.reading.packer.latest(query.history)
    assert encoded.ids[: len(bare)] == bare.ids
    words = tuned.keywords
    tuned.keywords = Keywords(
        SPLIT.dataset.of_items(
            SPLIT.dataset.items.with_columns(genres=pl.lit(None), year=pl.lit(None), title=pl.lit(""))
        )
    )
    without = tuned.reading.answers([query])
    tuned.keywords = words
    np.testing.assert_allclose(with_profile[0, 0], without[0, 0], atol=1e-4)
    np.testing.assert_array_equal(without[0, 0], without[0, 1])
    assert np.abs(with_profile[0, 1] - without[0, 1]).max() > 1e-3


def test_weight_zero_is_the_retriever_itself(tuned):
    before, tuned.weights = tuned.weights, Weights()
    queries = asked(SPLIT)
    for own, other in zip(tuned.score(queries), under().score_candidates(queries), strict=True):
        np.testing.assert_array_equal(np.argsort(-own, kind="stable"), np.argsort(-other, kind="stable"))
    tuned.weights = before


def test_only_the_chosen_users_are_read():
    method = PALR(tiny_lm(), under(), epochs=0, user_share=0.25, n=10).tune(SPLIT)
    assert len(method.reading.chosen(SPLIT.sequences)) == 12
    assert method.config.model_copy().user_share == 0.25
    assert PALR(tiny_lm(), under(), mode="faithful").config.user_share == 0.2


def test_an_instruction_shows_and_answers_the_same_candidates():
    method = PALR(tiny_lm(), under(), decode="trie", max_steps=0, window=6, list_length=3).tune(SPLIT)
    for one in every(1)[:12]:
        prompt, answer = method.reading.asked(one)
        titles = answer.text().splitlines()
        assert titles == [method.names[i] for i in one.answer if method.names[i] in titles]
        if one.candidates:
            assert all(f'"{title}"' in prompt.text().partition("candidates are")[2] for title in titles)
            assert len(titles) <= 6


def test_however_few_candidates_fit_some_of_them_are_wrong():
    for window in (2, 6, 10, 50):
        method = PALR(tiny_lm(), Popularity().fit(SPLIT), decode="trie", max_steps=0, window=window).tune(SPLIT)
        (stage,) = method.reading.stages(SPLIT, Group({}, 1.0))
        examples = [one for batch in stage.epoch(np.random.default_rng(0)) for one in batch if one.candidates]
        assert examples
        for one in examples:
            prompt, answer = method.reading.asked(one)
            shown = prompt.text().partition("candidates are")[2].count('"') // 2
            right = len(answer.text().splitlines())
            assert 1 <= right <= max(window // 2, 1)
            assert right < shown <= window


def test_letters_answer_with_the_label_of_the_next_item():
    method = PALR(tiny_lm(), under(), decode="letters", max_steps=0, window=12).tune(SPLIT)
    one = next(one for one in every(1) if one.candidates)
    prompt, answer = method.reading.asked(one)
    assert f'({answer.text()}) "{method.names[one.answer[0]]}"' in prompt.text()


def test_what_was_seen_is_no_rival_where_the_catalogue_is_small():
    case = SPLIT.valid[0]
    (found,), _ = pooled(np.zeros((1, len(FEATURES), SPLIT.dataset.n_items), np.float32), [case], 99)
    assert (found[0] == 0).sum() == SPLIT.dataset.n_items - len(set(case.query.history))
    assert found.shape == (len(FEATURES), 99)
