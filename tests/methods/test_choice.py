"""The paper's reading: its prompt, the tokens it learns from, its scores and its free text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from quick_llara import CHOICE

from tastemaker.errors import UsageError
from tastemaker.llm import adapters
from tastemaker.methods.llara import LLaRA
from tastemaker.prompts import ItemSlot, Prompt
from tastemaker.testing.methods import ODD, ODD_TITLES, asked, chains, under
from tastemaker.testing.tiny_llm import tiny_lm
from tastemaker.tuning.stages import Group
from tastemaker.types import Item, Query


def questions(method, n=6):
    """Training questions, odd titles among their candidates and answers."""
    rng = np.random.default_rng(0)
    made = [method.reading._question(chains().sequences[u], -1 - u % 2, rng) for u in range(n)]
    odd = method.reading._question([0, 1, ODD[4]], -1, rng)
    return [*made, odd]


def masked_loss(method, batch):
    """The loss by the book: whole sequences, all logits, labels -100 but for answers."""
    lm, sums, counts = method.llm, [], 0
    for question in batch:
        prompt = lm.encode(method.reading.prompt(question.query, question.template))
        answer = lm.encode(answer_of(method, question.query.candidates[question.answer]), start=False)
        inputs = lm.inputs([prompt + answer])
        labels = torch.tensor([[-100] * len(prompt) + answer.ids])
        logits = lm.model(inputs_embeds=inputs.embeddings).logits.float()
        sums.append(
            torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], ignore_index=-100, reduction="sum")
        )
        counts += len(answer)
    return torch.stack(sums).sum() / counts


def answer_of(method, item):
    return Prompt.of(" ", method.item_part(item), "\n")


def gradients(method, loss):
    parameters = [
        *(p for p in method.llm.model.parameters() if p.requires_grad),
        *method.reading.projector.parameters(),
    ]
    return torch.autograd.grad(loss, parameters, allow_unused=True)


@pytest.fixture
def learning(choice):
    """A tuned method with gradients on and no dropout, put back afterwards."""
    dropouts = [m for m in choice.llm.model.modules() if isinstance(m, torch.nn.Dropout)]
    rates = [m.p for m in dropouts]
    for module in dropouts:
        module.p = 0.0
    for name, parameter in choice.llm.model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    choice.reading.projector.hybrid = True
    yield choice
    for module, rate in zip(dropouts, rates, strict=True):
        module.p = rate
    choice.llm.model.eval()


def test_the_answer_and_its_line_break_are_learned_and_nothing_of_the_prompt(learning):
    batch = questions(learning)
    ours, book = learning.reading._loss(batch), masked_loss(learning, batch)
    torch.testing.assert_close(ours, book, rtol=1e-5, atol=1e-5)
    for one, two in zip(gradients(learning, ours), gradients(learning, book), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def test_the_trained_tokens_decode_to_the_title_and_a_line_break(learning, monkeypatch):
    from tastemaker.llm import scoring

    trained = []
    real = scoring._of_tokens
    monkeypatch.setattr(
        scoring, "_of_tokens", lambda lm, hidden, tokens: trained.extend(tokens) or real(lm, hidden, tokens)
    )
    for question in questions(learning):
        trained.clear()
        learning.reading._loss([question])
        answer = question.query.candidates[question.answer]
        decode = learning.llm.tokenizer.decode
        text = decode(trained, clean_up_tokenization_spaces=False)
        # A vocabulary without digits or a line break says so in both.
        wanted = decode(learning.llm.encode(Prompt.of(" ", learning.item_part(answer), "\n"), start=False).ids)
        assert text.removeprefix(" ") == wanted.removeprefix(" ")
        assert "<unk>" in text or text.removeprefix(" ") == f"{learning.title(answer)}\n"


def test_a_prompt_shows_title_and_slot_of_history_and_candidates_in_order(choice):
    query = Query((Item(3), Item(20), Item(3)), (Item(ODD[4]), Item(7), Item(ODD[5])))
    for template in range(3):
        prompt = choice.reading.prompt(query, template)
        assert [slot.item for slot in prompt.slots] == [3, 20, 3, ODD[4], 7, ODD[5]]
        text = prompt.text(slots="drop")
        names = [choice.title(item) for item in (*query.history, *query.candidates)]
        places = [text.index(name) for name in names[:2]]
        assert places == sorted(places)
        assert text.endswith(" Answer:")
        for part, before in zip(prompt.parts[1:], prompt.parts, strict=False):
            if isinstance(part, ItemSlot):
                assert before == " " or getattr(before, "text", "") or isinstance(before, str)


def test_titles_never_become_special_tokens_or_slots(choice):
    query = Query(tuple(map(Item, ODD)), tuple(map(Item, ODD)))
    plain = Query(tuple(map(Item, range(len(ODD)))), tuple(map(Item, range(len(ODD)))))
    special = set(choice.llm.tokenizer.all_special_ids) - {choice.llm.tokenizer.unk_token_id}
    for one in (query, plain):
        encoded = choice.llm.encode(choice.reading.prompt(one, 0))
        slots = {position for position, _ in encoded.slots}
        assert len(slots) == 2 * len(ODD)
        opening = len(choice.llm.encode.opening)
        assert not special & {i for p, i in enumerate(encoded.ids) if p not in slots and p >= opening}


def test_only_the_last_ten_are_read(choice):
    long = tuple(Item(i) for i in range(25))
    assert choice.reading.prompt(Query(long, (Item(1),)), 0) == choice.reading.prompt(Query(long[-10:], (Item(1),)), 0)


def test_the_papers_first_wording_says_ten_where_twenty_are_shown():
    method = LLaRA("none", under(), mode="faithful")
    assert method.templates[0].startswith("This user has watched| in the previous. Please predict the next movie")
    assert (
        "this user will watch. Choose the answer from the following 10 movie titles:|. Answer:" in method.templates[0]
    )
    assert "10 movie titles" in method.templates[1]
    game, artist = (LLaRA("none", under(), mode="faithful", domain=d).templates for d in ("game", "artist"))
    assert "this user will play. Choose the answer from the following 20 game titles" in game[0]
    assert "10 artist names" in artist[1]
    right = LLaRA("none", under(), reading="choice", candidates=7).templates
    assert "7 movie titles" in right[0]
    assert "7 movie titles" in right[1]


def test_scores_are_those_of_the_language_model_one_by_one(choice):
    queries = asked(chains(), n=4)
    queries[1] = replace(queries[1], candidates=tuple(map(Item, ODD)))
    scores = choice.score(queries)
    for query, row in zip(queries, scores, strict=True):
        prompt = choice.reading.prompt(query)
        with choice.llm.answering(choice.reading.projector):
            alone = [float(choice.llm.score([prompt], [[answer_of(choice, item)]])[0][0]) for item in query.candidates]
        np.testing.assert_allclose(row, alone, atol=2e-4)


def test_another_order_of_candidates_is_another_prompt_and_nothing_more(choice):
    query = asked(chains(), n=1)[0]
    turned = replace(query, candidates=query.candidates[::-1])
    one, two = choice.reading.prompt(query), choice.reading.prompt(turned)
    same = [part for part in one.parts if isinstance(part, str)]
    assert same == [part for part in two.parts if isinstance(part, str)]
    n = len(query.history)
    assert one.slots[:n] == two.slots[:n]
    assert one.slots[n:] == two.slots[n:][::-1]
    with choice.llm.answering(choice.reading.projector):
        (expected,) = choice.llm.score([two], [[answer_of(choice, item) for item in query.candidates]])
    np.testing.assert_allclose(choice.score([turned])[0][::-1], expected, atol=2e-4)


def test_the_same_title_twice_is_a_tie(one_choice):
    query = Query((Item(1), Item(2)), (Item(ODD[2]), Item(5), Item(ODD[3])))
    assert ODD_TITLES[2] == ODD_TITLES[3]
    (scores,) = one_choice.score([query])
    assert scores[0] == pytest.approx(scores[2], abs=1e-4)
    assert scores[0] != pytest.approx(scores[1], abs=1e-4)


def test_slots_tell(one_choice):
    query = asked(chains(), n=1)[0]
    (before,) = one_choice.score([query])
    vectors = one_choice.reading.projector.vectors
    kept = vectors.clone()
    vectors[query.candidates[0]] += 5
    try:
        (after,) = one_choice.score([query])
    finally:
        vectors.copy_(kept)
    assert np.abs(after - before).max() > 1e-4


def test_queries_need_candidates(one_choice):
    with pytest.raises(UsageError, match="give some"):
        one_choice.score([*asked(chains(), n=1), Query((Item(1),))])


def test_a_question_offers_the_next_item_among_others_outside_the_window(one_choice):
    rng, sequence = np.random.default_rng(0), list(range(30))
    places = []
    for at in [3, 15, 29] * 40:
        query, answer, _ = one_choice.reading._question(sequence, at, rng)
        places.append(answer)
        assert query.candidates[answer] == at
        assert query.history == tuple(sequence[max(0, at - 10) : at])
        assert len(set(query.candidates)) == 6
        assert not set(query.candidates) & set(query.history)
    assert set(places) == set(range(6))


def test_a_catalogue_too_small_for_the_question_is_said_so_and_does_not_hang():
    method = LLaRA(tiny_lm(), under(), **{**CHOICE, "candidates": 40})
    with pytest.raises(UsageError, match="catalogue of 44 items is too small for candidates=40"):
        method.tune(chains())


def test_every_place_with_enough_history_is_asked_once_an_epoch(one_choice):
    (stage,) = one_choice.reading.stages(chains(), Group({}, 1.0))
    lots = stage.epoch(np.random.default_rng(1))
    batches = [one_choice.reading.drawn(chains().sequences, lot) for lot in lots]
    assert batches == [one_choice.reading.drawn(chains().sequences, lot) for lot in lots]
    assert {len(batch) for batch in batches[:-1]} == {4}
    assert {len({q.template for q in batch}) for batch in batches} == {1}
    assert {batch[0].template for batch in batches} == {0, 1, 2}
    asked_for = sorted((q.query.history, q.query.candidates[q.answer]) for batch in batches for q in batch)
    expected = sorted(
        (tuple(map(int, s[max(0, k - 10) : k])), int(s[k])) for s in chains().sequences for k in range(3, len(s))
    )
    assert asked_for == expected


def test_free_text_names_one_candidate_or_none(one_choice, monkeypatch):
    alien, heat, other = Item(0), Item(ODD[2]), Item(12)
    query = Query((Item(1),), (alien, heat, other))
    texts = {"Crime Film 1": 0, " heat, I think\nor not": 1, "Crime Film 1 or Heat": None, "": None}
    monkeypatch.setattr(one_choice.llm, "generate", lambda prompts, **options: list(texts)[: len(prompts)])
    scores, valid = one_choice.generate([query] * len(texts))
    assert valid.tolist() == [index is not None for index in texts.values()]
    for row, index in zip(scores, texts.values(), strict=True):
        assert np.isnan(row).all() if index is None else row.tolist() == [float(i == index) for i in range(3)]


def test_free_text_is_the_same_in_any_company(choice):
    queries = asked(chains(), n=3)
    together, valid = choice.generate(queries)
    assert valid.shape == (3,)
    for query, row in zip(queries, together, strict=True):
        np.testing.assert_array_equal(choice.generate([query])[0][0], row)
    assert adapters.adapter_state(choice.llm)
