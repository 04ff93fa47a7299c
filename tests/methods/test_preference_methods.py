"""CoLLM and TALLRec keep to the contract of methods that answer yes or no, in each of their readings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tastemaker.collab.pointwise.din import DIN
from tastemaker.collab.pointwise.hashed_mf import HashedMF
from tastemaker.collab.pointwise.item_rate import ItemRate
from tastemaker.collab.pointwise.mf import MF
from tastemaker.collab.pointwise.sasrec import SASRec
from tastemaker.data.preference import labels
from tastemaker.errors import ArtifactError, DataError, PromptError, UsageError
from tastemaker.methods import _fusion, _preference
from tastemaker.methods._asked import ALL, fold_of, rates_of
from tastemaker.methods._vectors import Vectors
from tastemaker.methods._worded import SawTooth, fitted
from tastemaker.methods.binllm import BinLLM
from tastemaker.methods.collm import CoLLM
from tastemaker.methods.tallrec import TALLRec, shots
from tastemaker.testing.preferences import PreferenceMethodContract, asked, encoder, opinions
from tastemaker.testing.tiny_llm import tiny_lm
from tastemaker.types import Item

QUICK = {"max_steps": 4, "validate_every": 2, "batch_positions": 512, "text_size": 4, "history": 8}
WORDS = {"max_steps": 3, "validate_every": 3, "batch_rows": 4}


class TestCoLLM(PreferenceMethodContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return lambda lm, **more: CoLLM(lm, encoder(), **{**QUICK, **more})


class TestFaithfulCoLLM(PreferenceMethodContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return lambda lm, **more: CoLLM(lm, encoder(), mode="faithful", **{**WORDS, **more})


class TestTALLRec(PreferenceMethodContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return lambda lm, **more: TALLRec(lm, shots=12, **{**WORDS, **more})


def own(method, queries):
    return np.concatenate(method.reading.score([method.known(query) for query in queries], shown=True))


@pytest.fixture(scope="module", params=["all", "likes"])
def collm(request):
    """Tuned long enough to have learned that good films are good."""
    split = opinions(request.param)
    enough = {**QUICK, "max_steps": 60, "validate_every": 20, "epochs": 60}
    return split, CoLLM(tiny_lm(), encoder(), **enough).tune(split)


def test_collm_learns(collm):
    split, method = collm
    queries = [row.query for row in split.test]
    users = np.array([row.query.user for row in split.test])
    assert _fusion.figure(np.concatenate(method.score(queries)), labels(split.test), users) > 0.65
    assert _fusion.figure(own(method, queries), labels(split.test), users) > 0.65


def test_an_answer_does_not_see_what_was_said_later(collm):
    split, method = collm
    rows = [row for row in split.test if row.query.user == split.test[0].query.user]
    early, late = rows[0].query, rows[-1].query
    assert len(late.history) > len(early.history) + 1
    turned = replace(
        late, likes=(*late.likes[: len(early.history)], *(not like for like in late.likes[len(early.history) :]))
    )
    together = own(method, [early, turned])
    np.testing.assert_allclose(together[0], own(method, [early])[0], atol=1e-3)


def test_an_answer_sees_what_was_said_before(collm):
    split, method = collm
    query = max((row.query for row in split.test), key=lambda query: len(query.history))
    other = replace(query, history=query.history[:-4], likes=query.likes[:-4])
    assert abs(own(method, [query])[0] - own(method, [other])[0]) > 1e-4


def test_dislikes_are_heard_where_they_are_told():
    split = opinions("all")
    method = CoLLM(tiny_lm(), encoder(), **QUICK).tune(split)
    query = next(row.query for row in split.test if len(row.query.history) > 5)
    turned = replace(query, likes=tuple(not like for like in query.likes))
    assert abs(own(method, [query])[0] - own(method, [turned])[0]) > 1e-4


@pytest.mark.parametrize("stage", ["text", "cie", "t1", "t2", "t3"])
@pytest.mark.parametrize("reading", ["timeline", "prompt"])
def test_every_stage_tunes_and_comes_back(stage, reading, tmp_path):
    quick = {**QUICK, "max_steps": 2, "batch_rows": 2} if reading == "timeline" else {**WORDS, "max_steps": 2}
    method = CoLLM(tiny_lm(), encoder(), stage=stage, reading=reading, validate_rows=10, **quick).tune(opinions())
    assert method.shown or stage != "t3" or reading == "timeline"
    if stage == "text":
        assert not method.shown
    assert all(np.isfinite(row).all() for row in method.score(asked()))


def test_the_text_stage_of_a_second_stage_is_the_text_stage_alone():
    alone, before = (CoLLM(tiny_lm(), encoder(), stage=stage, **QUICK).tune(opinions()) for stage in ("text", "cie"))
    queries = [before.known(query) for query in asked()]
    for one, two in zip(*(m.reading.score(queries, shown=False) for m in (alone, before)), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)


def test_a_tuned_encoder_differs_only_where_it_is_tuned():
    for stage, moves in (("cie", False), ("t1", True)):
        method = CoLLM(tiny_lm(), encoder(), stage=stage, **QUICK).tune(opinions())
        found = method.reading.vectors.items().detach().numpy()
        assert (np.abs(found - encoder().item_vectors).max() > 1e-6) == moves


def test_rates_shown_to_a_training_user_leave_their_own_rows_out():
    split = opinions()
    user = split.train[0].query.user
    turned = tuple(replace(row, liked=not row.liked) if row.query.user == user else row for row in split.train)
    before, after = rates_of(split), rates_of(replace(split, train=turned))
    seen = before[fold_of(user)][:, 1:]
    np.testing.assert_array_equal(seen, after[fold_of(user)][:, 1:])
    drift = abs(labels(split.train).mean() - labels(turned).mean()) * 20
    assert np.abs(before[fold_of(user)][:, 0] - after[fold_of(user)][:, 0]).max() < drift
    assert not np.array_equal(before[ALL], after[ALL])


def test_an_encoder_of_other_items_is_refused():
    split = opinions()
    other = replace(split.dataset, items=split.dataset.items.head(3))
    with pytest.raises(UsageError, match="fit it on this split"):
        CoLLM(tiny_lm(), encoder(), **QUICK).tune(replace(split, dataset=other))


def test_an_encoder_of_other_users_is_refused():
    with pytest.raises(UsageError, match="not fitted on the users of opinions; fit it on this split"):
        CoLLM(tiny_lm(), MF(embedding_size=8, epochs=1).fit(opinions(n_users=20)), **QUICK).tune(opinions())


def narrow(positions):
    """A model with that many positions: it has no vector for a later one."""
    lm = tiny_lm(architecture="gpt2")
    lm.model.config.n_positions = positions
    places = lm.model.transformer.wpe
    places.weight = torch.nn.Parameter(places.weight[:positions].detach(), requires_grad=False)
    return lm


@pytest.mark.parametrize("history", ["all", "likes"])
def test_a_timeline_is_as_long_as_the_model_has_room(history):
    split = opinions(history)
    method = CoLLM(narrow(64), encoder(), **{**QUICK, "layers": None, "history": 64}).tune(split)
    query = max((row.query for row in split.test), key=lambda query: len(query.history))
    long = replace(query, history=query.history * 9, likes=query.likes * 9, candidates=())
    assert all(np.isfinite(row).all() for row in method.score([long, *asked()]))
    with pytest.raises(PromptError, match="positions do not fit into the 16"):
        CoLLM(narrow(16), encoder(), **QUICK, layers=None).tune(split)


def test_a_prompt_in_words_is_as_long_as_the_model_has_room():
    method = TALLRec(narrow(160), shots=4, layers=None, history=64, **WORDS).tune(opinions())
    query = max((method.known(row.query) for row in opinions().test), key=lambda query: len(query.history))
    long = replace(query, history=query.history * 9, likes=query.likes * 9)
    read = fitted(method.llm, long, method.reading.wording).history
    assert 0 < len(read) < len(query.history)
    assert read == query.history[-len(read) :]
    assert np.isfinite(method.score([long])[0]).all()


@pytest.mark.parametrize(
    "made",
    [
        lambda lm: CoLLM(lm, encoder(), reading="prompt", layers=None, **WORDS),
        lambda lm: TALLRec(lm, shots=4, layers=None, **WORDS),
        lambda lm: BinLLM(lm, encoder(), form="bits", layers=None, **WORDS),
    ],
)
def test_a_template_without_room_is_one_clear_line(made):
    with pytest.raises(PromptError, match=r"do not fit into the 64 of .*; shorten what it reads") as refused:
        made(narrow(64)).tune(opinions())
    assert "\n" not in str(refused.value)


def test_an_encoder_without_vectors_is_refused():
    with pytest.raises(UsageError, match="no item vectors"):
        CoLLM(tiny_lm(), ItemRate().fit(opinions()), **QUICK).tune(opinions())


def test_din_is_asked_about_one_item_at_a_time():
    din = DIN(embedding_size=4, epochs=1).fit(opinions())
    method = CoLLM(tiny_lm(), din, mode="faithful", **WORDS).tune(opinions())
    (several,) = method.score([asked()[3]])
    single = [method.score([replace(asked()[3], candidates=(item,))])[0][0] for item in asked()[3].candidates]
    np.testing.assert_allclose(several, single, atol=1e-3)


def test_unknown_users_and_items_drop_out_of_the_prompt():
    method = CoLLM(tiny_lm(), encoder(), reading="prompt", **WORDS).tune(opinions())
    wording = method.reading.wording(shown=True)
    stranger = replace(method.known(asked()[0]), user=None)
    assert "feature" not in wording.prompt(stranger, 0).text(slots="drop")
    assert len(wording.prompt(method.known(asked()[0]), 0).slots) == 1
    method.reading.vectors.known[3] = False
    assert not wording.target(stranger, Item(3)).slots
    assert len(wording.target(stranger, Item(4)).slots) == 1


def test_the_papers_prompts():
    method = CoLLM(tiny_lm(), encoder(), mode="faithful", **{**WORDS, "max_steps": 0}).tune(opinions())
    query = replace(method.known(asked()[0]), history=(), likes=())
    told = method.reading.wording(shown=False)
    assert (told.prompt(query, 0) + told.target(query, Item(0))).text() == (
        "#Question: A user has given high ratings to the following movies: unkow. Leverage the information to predict "
        'whether the user would enjoy the movie titled "Good 0 (1990)"? Answer with "Yes" or "No". \\n#Answer:'
    )
    shown = method.reading.wording(shown=True)
    assert (shown.prompt(query, 0) + shown.target(query, Item(0))).text(slots="drop") == (
        "#Question: A user has given high ratings to the following movies: unkow. Additionally, we have information "
        "about the user's preferences encoded in the feature . Using all available information, make a prediction "
        'about whether the user would enjoy the movie titled "Good 0 (1990)" with the feature ? Answer with "Yes" or '
        '"No". \\n#Answer:'
    )


def test_the_released_warm_up_rises_in_every_epoch():
    stage = SawTooth("s", 1000, lambda rng: [], lambda batch, share: None, {})
    assert [round(stage.rate(step), 3) for step in (0, 49, 50, 99, 199, 200, 999)] == [
        0.01,
        0.253,
        0.01,
        0.253,
        0.253,
        1,
        1,
    ]


def test_shots_are_drawn_by_the_seed():
    split = opinions()
    assert shots(split, 5, 1) == shots(split, 9, 1)[:5] != shots(split, 5, 2)
    assert len(shots(split, None, 0)) == len(split.train)


def test_counts_come_from_the_shots_alone():
    split = opinions()
    few, whole = (TALLRec(tiny_lm(), shots=12, counts=c, **WORDS).tune(split) for c in ("shots", "train"))
    assert few.witnesses[1].item_counts.sum() == 12
    assert whole.witnesses[1].item_counts.sum() == len(split.train)
    bare = TALLRec(tiny_lm(), shots=12, counts="none", **WORDS).tune(split)
    assert bare.witnesses == ()


def test_the_papers_tallrec_prompt():
    method = TALLRec(tiny_lm(), mode="faithful", shots=4, max_steps=0).tune(opinions())
    query = replace(method.known(asked()[0]), history=(Item(0), Item(12)), likes=(True, False))
    text = (method.reading._prompt(query, 0) + method.reading._target(query, Item(1))).text()
    assert text.endswith(
        'User Preference: "Good 0 (1990)"\nUser Unpreference: "Bad 0 (1990)"\nWhether the user will like the target '
        'movie "Good 1 (1990)"?\n\n### Response:\n'
    )
    assert "request.  # noqa: E501\n\n### Instruction:\nGiven the user's preference and unpreference, " in text


def test_instructions_come_first_and_change_the_answers(tmp_path):
    path = tmp_path / "instructions.json"
    path.write_text('[{"instruction": "Name a film", "input": "", "output": "Heat"}]')
    seen: list[str] = []
    one = TALLRec(tiny_lm(), instructions=str(path), shots=4, max_steps=1)
    one.tune(opinions(), progress=lambda task, *rest, **more: seen.append(task))
    assert list(dict.fromkeys(seen))[:2] == ["instructions", "answers"]
    path.write_text("[]")
    with pytest.raises(DataError, match="not a list of instructions"):
        TALLRec(tiny_lm(), instructions=str(path), shots=4).tune(opinions())


def test_a_transferred_model_answers_for_other_titles():
    method = TALLRec(tiny_lm(), shots=12, **WORDS).tune(opinions())
    other = replace(opinions().dataset, items=opinions().dataset.items.head(5))
    books = method.transferred(other, "book")
    query = replace(asked()[0], candidates=(Item(0), Item(4)), history=(Item(1),), likes=(True,))
    (scores,) = books.score([query])
    assert scores.shape == (2,)
    assert "book" in books.reading._prompt(books.known(query), 0).text().lower()
    assert method.catalogue.n_items > 5


def test_log_odds_that_speak_against_the_labels_are_left_out():
    liked = np.array([True, False] * 50)
    against, useful = np.where(liked, -1.0, 1.0), np.where(liked, 1.0, -1.0) + np.tile([0.5, -0.5, -3], 34)[:100]
    found = _fusion.learned(np.stack([against, useful], axis=1).astype(np.float32), liked)
    assert found.weights[0] == 0
    assert found.weights[1] > 0
    assert _fusion.learned(against[:, None].astype(np.float32), liked) == _fusion.alone(0)


def stages_of(method, split, monkeypatch):
    """What would train, without training it."""
    found = []
    with monkeypatch.context() as patch:
        patch.setattr(_preference.loop, "run", lambda stage, **options: found.append(stage))
        method.tune(split)
    return found


def test_a_faithful_tallrec_takes_the_papers_steps(monkeypatch, tmp_path):
    split = opinions(n_users=40)
    assert len(split.train) >= 256
    for k, steps in ((16, 200), (64, 200), (128, 200), (256, 400)):
        (stage,) = stages_of(TALLRec(tiny_lm(), mode="faithful", shots=k), split, monkeypatch)
        assert (stage.steps, stage.betas) == (steps, (0.9, 0.999)), k
    path = tmp_path / "instructions.json"
    path.write_text('[{"instruction": "Name a film", "input": "", "output": "Heat"}]')
    untuned = TALLRec(tiny_lm(), instructions=str(path), shots=4, max_steps=0)
    assert [stage.steps for stage in stages_of(untuned, split, monkeypatch)] == [0, 0]


def test_a_run_belongs_to_its_encoder_and_its_instructions(tmp_path):
    other = MF(embedding_size=8, epochs=5, biases=True).fit(opinions(), seed=1)
    for kind in (CoLLM, BinLLM):
        settings = {**QUICK, "max_steps": 1} if kind is CoLLM else {**WORDS, "max_steps": 1, "form": "bits"}
        kind(tiny_lm(), encoder(), **settings).tune(opinions(), run_dir=tmp_path / kind.kind)
        kind(tiny_lm(), encoder(), **settings).tune(opinions(), run_dir=tmp_path / kind.kind)
        with pytest.raises(ArtifactError, match="other encoder"):
            kind(tiny_lm(), other, **settings).tune(opinions(), run_dir=tmp_path / kind.kind)
    path = tmp_path / "instructions.json"
    for output in ("Heat", "Ran"):
        path.write_text(f'[{{"instruction": "Name a film", "input": "", "output": "{output}"}}]')
        method = TALLRec(tiny_lm(), instructions=str(path), shots=4, max_steps=1)
        if output == "Heat":
            method.tune(opinions(), run_dir=tmp_path / "tallrec")
    with pytest.raises(ArtifactError, match="other instructions_hash"):
        method.tune(opinions(), run_dir=tmp_path / "tallrec")


@pytest.mark.parametrize("made", [DIN, SASRec, HashedMF])
def test_an_encoder_learned_anew_is_one_before_learning(made):
    fitted = made(embedding_size=8, epochs=2).fit(opinions())
    one, two = (Vectors(fitted, "anew", torch.Generator().manual_seed(0)).network for _ in "ab")
    for name, parameter in one.named_parameters():
        torch.testing.assert_close(parameter, dict(two.named_parameters())[name])
        if "norm" in name.lower() and name.endswith("weight"):
            assert (parameter == 1).all(), name
    for name, module in one.named_modules():
        if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
            assert (module.weight[module.padding_idx] == 0).all(), name
    trained = dict(fitted.network.named_parameters())
    assert any(not torch.equal(parameter, trained[name]) for name, parameter in one.named_parameters())


def test_an_encoder_of_bits_learns_in_words_too():
    hashed = HashedMF(embedding_size=8, epochs=2).fit(opinions())
    method = CoLLM(tiny_lm(), hashed, reading="prompt", stage="t1", **{**WORDS, "max_steps": 2}).tune(opinions())
    before, after = dict(hashed.network.named_parameters()), dict(method.reading.vectors.network.named_parameters())
    assert any(not torch.equal(before[name], after[name]) for name in before)
