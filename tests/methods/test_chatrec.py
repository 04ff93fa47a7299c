"""Chat-REC keeps the contract of methods, never falls below its retriever by choice, and tells what it was told."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tastemaker.collab.popularity import Popularity
from tastemaker.errors import ConfigError
from tastemaker.llm.fake import FakeLM
from tastemaker.llm.sentences import SentenceEncoder
from tastemaker.methods.chatrec import ChatRec, questions
from tastemaker.testing.methods import MethodContract, asked, chains, under, write_lm
from tastemaker.testing.tiny_encoder import tiny_encoder
from tastemaker.types import Item, Query

SIX = tuple(map(Item, range(6)))


@pytest.fixture(autouse=True, scope="module")
def _small_encoder():
    encoder = tiny_encoder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SentenceEncoder, "load", staticmethod(lambda name: encoder))
        yield


class TestChatRec(MethodContract):
    catalogue = False
    tolerance = 1e-3
    test_a_signal_stops_it_and_the_same_call_goes_on = None  # it trains nothing that could be resumed

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return lambda lm: ChatRec(lm, under(), weight=0.5, candidates=4)

    test_progress_ends_where_it_said_it_would = None  # one task only, with its weight given


def test_the_weight_is_nothing_unless_the_model_helps():
    split = chains()
    assert ChatRec(FakeLM(), under()).tune(split).weight == 0
    useless = ChatRec(FakeLM(), under(), encoder=None).tune(split)
    queries = asked(split)
    for row, own in zip(useless.score(queries), under().score_candidates(queries), strict=True):
        np.testing.assert_array_equal(np.argsort(-row, kind="stable"), np.argsort(-own, kind="stable"))


def test_a_model_that_helps_gets_a_weight():
    split, titles = chains(), chains().dataset.titles
    after = {titles[case.query.history[-1]].split(" (")[0]: titles[case.positive] for case in split.valid}

    def score(prompt, one):
        last = prompt.text().split("from them: ")[1].split(".\n")[0].rsplit("; ", 1)[-1]
        return 0.0 if after.get(last, "?").startswith(one.text().strip() + " (") else -9.0

    assert ChatRec(FakeLM(scores=score), untaught(split), hint=False).tune(split).weight > 0


def untaught(split):
    """A retriever that knows popularity only."""
    return Popularity().fit(split)


def test_what_is_not_shown_to_the_model_stays_behind():
    method = ChatRec(FakeLM(), under(), weight=5.0, candidates=3).tune(chains())
    query = Query(chains().test[0].query.history, tuple(map(Item, range(10))))
    (scores,), (own,) = method.score([query]), under().score_candidates([query])
    shown = {*np.argsort(-own, kind="stable")[:3].tolist()}
    assert {*np.argsort(-scores, kind="stable")[:3].tolist()} == shown


@pytest.mark.parametrize("hint", [True, False])
def test_the_prompt_tells_history_candidates_wish_and_hint(hint):
    method = ChatRec(FakeLM(), under(), weight=1.0, hint=hint).tune(chains())
    text = method.prompt(Query((Item(1), Item(2)), SIX, text="something quiet"), SIX).text()
    assert "Crime Film 2; Crime Film 3" in text
    assert "Crime Film 1; Crime Film 2" in text
    assert "The user says: something quiet" in text
    assert ("The first film to be selected is Crime Film 1" in text) is hint


def test_long_histories_are_cut_from_the_oldest():
    class Small(FakeLM):
        context = 220

        def length(self, prompt):
            return len(prompt.text().split())

    method = ChatRec(Small(), under(), weight=1.0, max_history=200).tune(chains())
    history = tuple(Item(i % 36) for i in range(100))
    text = method.prompt(Query(history, SIX), SIX).text()
    assert len(text.split()) <= 220 - 64
    assert f"{chains().dataset.titles[history[-1]].split(' (')[0]}." in text


def test_only_local_models_are_saved(tmp_path):
    with pytest.raises(ConfigError, match="local"):
        ChatRec(FakeLM(), under(), weight=1.0).tune(chains()).save(tmp_path / "x")


def test_a_question_is_a_query_with_all_that_is_right():
    cases = chains().valid[:2]
    several = [cases[0], replace(cases[0], positive=Item(35)), cases[1]]
    assert [(q.user, answers) for q, answers in questions(several)] == [
        (cases[0].query.user, {cases[0].positive, Item(35)}),
        (cases[1].query.user, {cases[1].positive}),
    ]


def test_nearness_in_meaning_gets_a_weight_only_where_it_helps():
    split = chains()
    alike = ChatRec(FakeLM(), under(), weight=0.0)
    alike._encoded = lambda progress: np.ones((split.dataset.n_items, 2), dtype=np.float32)
    assert alike.tune(split).nearness == 0
    near = ChatRec(FakeLM(), untaught(split), weight=0.0)
    near._encoded = lambda progress: steps(split)
    assert near.tune(split).nearness > 0
    before, after = (
        np.mean([row.argmax() == 0 for row in scored])
        for scored in (untaught(split).score_candidates(right_first(split)), near.score(right_first(split)))
    )
    assert after > before


def steps(split):
    """Vectors in which what comes next is near, as the cosine of the places in the chain."""
    places = np.arange(split.dataset.n_items) * 2 * np.pi / split.dataset.n_items
    return np.stack([np.cos(places), np.sin(places)], axis=1).astype(np.float32)


def right_first(split):
    """The test questions, the right answer first among everything unseen."""
    others = range(split.dataset.n_items)
    return [
        replace(
            q := case.query,
            candidates=(case.positive, *(Item(i) for i in others if i != case.positive and i not in q.history)),
        )
        for case in split.test
    ]


def test_without_an_encoder_nothing_is_encoded():
    method = ChatRec(FakeLM(), under(), weight=0.0, encoder=None).tune(chains())
    assert (method.vectors.shape, method.nearness) == ((chains().dataset.n_items, 0), 0)


def test_how_many_stand_behind_those_shown_changes_nothing_among_them():
    """The weights were chosen over those shown alone, and count for as much before a longer list."""
    split = chains()
    method = ChatRec(FakeLM(), untaught(split), weight=1.0, candidates=6, encoder=None).tune(split)
    order = np.argsort(-untaught(split).score([Query(())])[0], kind="stable").tolist()
    few, many = (Query((Item(1),), tuple(map(Item, order[:n]))) for n in (6, len(order)))
    (alone,), (before,) = method.score([few]), method.score([many])
    np.testing.assert_allclose(before[:6], alone, atol=1e-5)
    assert before[6:].max() < before[:6].min()


def test_what_is_told_of_users_is_told_after_loading_too_unless_nobody_should_be_known(tmp_path):
    split = chains()
    users = split.dataset.users.with_columns(age=pl.lit(30), occupation=pl.lit("lawyer"), zip_code=pl.lit("94110"))
    split = replace(split, dataset=replace(split.dataset, users=users))
    settings = {"weight": 0.5, "encoder": None}
    method = ChatRec(str(write_lm(tmp_path / "lm")), untaught(split), **settings).tune(split)
    query = asked(split, n=1)[0]
    prompt = method.prompt(query, query.candidates)
    assert "User profile: age 30, occupation lawyer." in prompt.text()
    method.save(tmp_path / "saved")
    loaded = ChatRec.load(tmp_path / "saved")
    assert loaded.prompt(query, query.candidates) == prompt
    np.testing.assert_allclose(loaded.score([query])[0], method.score([query])[0], atol=1e-4)
    assert loaded.users.columns == ["age", "occupation"]
    method.without_users().save(tmp_path / "bare")
    assert "User profile" not in ChatRec.load(tmp_path / "bare").prompt(query, query.candidates).text()
