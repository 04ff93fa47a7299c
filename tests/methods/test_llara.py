"""LLaRA's settings, curriculum, words, what it trains, and what it saves."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import torch
from quick_llara import CHOICE, TIMELINE

from tastemaker.collab import Popularity, SASRec
from tastemaker.errors import ConfigError, LanguageModelError, NotFittedError, UsageError
from tastemaker.llm import adapters
from tastemaker.methods import llara
from tastemaker.methods.llara import LLaRA, LLaRAConfig
from tastemaker.testing.methods import N_ITEMS, ODD, asked, chains, hits, under
from tastemaker.testing.tiny_llm import tiny_lm
from tastemaker.tuning import loop
from tastemaker.types import Item

FAITHFUL = {
    "reading": "choice",
    "content": "hybrid",
    "curriculum": "linear",
    "history": 10,
    "candidates": 20,
    "least_history": 3,
    "layers": None,
    "lora_r": 8,
    "lora_alpha": 32.0,
    "lora_dropout": 0.1,
    "learning_rate": 2e-4,
    "epochs": 5.0,
    "max_steps": None,
    "fusion": False,
    "matched": False,
    "attributes": False,
    "average": None,
}


def test_faithful_is_what_the_paper_and_its_first_release_did():
    config = LLaRAConfig(mode="faithful")
    assert {name: getattr(config, name) for name in FAITHFUL} == FAITHFUL
    assert config.batch_rows * config.accumulate == 128


def test_what_is_given_beats_the_preset_and_the_default_mode_is_not_touched():
    assert LLaRAConfig(mode="faithful", epochs=1, layers=4).model_dump() == {
        **LLaRAConfig(mode="faithful").model_dump(),
        "epochs": 1,
        "layers": 4,
    }
    assert LLaRAConfig().reading == "timeline"
    assert LLaRAConfig(mode="default") == LLaRAConfig()


def test_the_faithful_stage_has_the_papers_schedule_and_no_clipping():
    method = LLaRA(tiny_lm(), under(), mode="faithful", candidates=5, epochs=1)
    (stage,) = stages_of(method)
    places = sum(max(0, len(sequence) - 3) for sequence in chains().sequences)
    assert (stage.steps, stage.accumulate, stage.clip) == (round(places / 128), 16, None)
    assert (stage.warmup, stage.floor) == (0.05, 0.01)
    assert (stage.betas, stage.decoupled) == ((0.9, 0.999), False)
    assert {name: (g.learning_rate, g.weight_decay) for name, g in stage.groups.items()} == {
        "adapters": (2e-4, 0.0),
        "projector": (2e-4, 1e-5),
    }


def test_settings_are_given_once():
    with pytest.raises(ConfigError, match="not both"):
        LLaRA("none", under(), LLaRAConfig(), epochs=2)
    with pytest.raises(ConfigError, match="llara: epoch: no such setting; did you mean 'epochs'"):
        LLaRA("none", under(), epoch=2)
    with pytest.raises(ConfigError, match="llara: curriculum"):
        LLaRA("none", under(), curriculum="steep")


def stages_of(method, split=None):
    """The stages it would train, as far as before the first step."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "run", lambda stage, **options: found.append(stage))
        method.tune(split or chains())
    return found


def test_only_a_run_of_the_same_things_goes_on():
    def facts(model=None, lm=None, split=None, **settings):
        (stage,) = stages_of(LLaRA(lm or tiny_lm(), model or under(), layers=None, **settings), split)
        return stage.facts

    def differing(**changes):
        other = facts(**changes)
        return {key for key in other if other[key] != base[key]}

    base = facts()
    short = replace(chains(), train=chains().train.head(-1))
    assert differing() == differing(fusion=False) == set()
    assert differing(model=SASRec(embedding_size=8, epochs=1, max_history=12).fit(chains())) == {"vectors"}
    assert differing(lm=tiny_lm(seed=1)) == {"llm"}
    assert differing(split=short) == {"split"}
    assert differing(lora_r=4) == {"lora_r"}


@pytest.mark.parametrize(
    ("settings", "catalogue", "probabilities"),
    [({}, True, False), ({"fusion": False}, True, True), ({"mode": "faithful"}, False, True)],
)
def test_it_knows_what_its_scores_are(settings, catalogue, probabilities):
    method = LLaRA("none", under(), **settings)
    assert (method.scores_catalogue, method.probabilities) == (catalogue, probabilities)


@pytest.mark.parametrize("kind", ["timeline", "one_choice"])
def test_what_the_last_batch_showed_is_forgotten_when_it_is_asked(kind, request):
    method = request.getfixturevalue(kind)
    expected = method.score(asked(chains()))
    method.reading.projector.hybrid = False
    for one, two in zip(expected, method.score(asked(chains())), strict=True):
        np.testing.assert_array_equal(one, two)
    assert method.reading.projector.hybrid


def test_the_same_language_model_can_be_tuned_again():
    lm = tiny_lm()
    first, second = (
        LLaRA(lm, under(), **{**TIMELINE, "epochs": 1}).tune(chains()).score(asked(chains())) for _ in "ab"
    )
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_language_model_that_was_cut_is_not_taken_for_the_whole():
    lm = tiny_lm(layers=3)
    LLaRA(lm, under(), **{**TIMELINE, "epochs": 0, "layers": 1}).tune(chains())
    LLaRA(lm, under(), **{**TIMELINE, "epochs": 0, "layers": 1}).tune(chains())
    for layers in (2, 12, None):
        with pytest.raises(LanguageModelError, match=r"was cut to 1 of its 3 layers before, and [23] are wanted"):
            LLaRA(lm, under(), **{**TIMELINE, "epochs": 0, "layers": layers}).tune(chains())


def chance(curriculum, share, monkeypatch, **settings):
    """The chance of a hybrid batch, read off by letting the die fall everywhere."""
    method = LLaRA("none", under(), curriculum=curriculum, **settings)

    def hybrid(fallen):
        monkeypatch.setattr(llara.torch, "rand", lambda shape: torch.tensor(fallen, dtype=torch.float64))
        return method.hybrid(share)

    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if hybrid(middle) else (low, middle)
    return round(low, 6)


def test_linear_rises_from_never_to_always(monkeypatch):
    found = [chance("linear", step / 50, monkeypatch) for step in range(51)]
    assert found == pytest.approx([step / 50 for step in range(51)], abs=1e-5)
    assert all(earlier < later for earlier, later in pairwise(found))


def test_direct_is_always_and_text_is_never_hybrid(monkeypatch):
    for share in (0, 0.3, 0.999):
        assert chance("direct", share, monkeypatch) == pytest.approx(1, abs=1e-5)
        assert chance("text", share, monkeypatch) == 0


def test_two_stage_changes_after_two_of_five_epochs(monkeypatch):
    found = [chance("two-stage", step / 100, monkeypatch) for step in range(100)]
    assert found == [0.0] * 40 + [pytest.approx(1, abs=1e-5)] * 60


def test_released_is_a_saw_of_five_teeth_that_never_passes_a_fifth(monkeypatch):
    found = [chance("released", step / 100, monkeypatch, epochs=5) for step in range(100)]
    tooth = [0.2 * step / 20 for step in range(20)]
    assert found == pytest.approx(tooth * 5, abs=1e-5)
    assert np.mean(found) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("settings", [TIMELINE, CHOICE], ids=["timeline", "choice"])
def test_the_curriculum_is_a_function_of_the_optimiser_step(settings):
    method = LLaRA(tiny_lm(), under(), **{**settings, "curriculum": "two-stage", "accumulate": 2, "epochs": 8})
    (stage,) = stages_of(method)
    seen = []
    real = method.reading._loss
    method.reading._loss = lambda batch: seen.append(method.reading.projector.hybrid) or real(batch)
    stage = replace(stage, steps=min(stage.steps, 10), validate=None)
    loop.run(stage)
    expected = [step / stage.steps >= 0.4 for step in range(stage.steps) for _ in range(2)]
    assert seen == expected
    assert len(set(seen)) == 2


@pytest.mark.parametrize("content", ["hybrid", "text", "behaviour", "index"])
@pytest.mark.parametrize("settings", [TIMELINE, CHOICE], ids=["timeline", "choice"])
def test_only_what_the_stage_names_is_trained_and_all_of_it(settings, content):
    lm, collab = tiny_lm(), under()
    before = {name: array.copy() for name, array in collab.state().items()}
    method = LLaRA(lm, collab, **{**settings, "content": content, "curriculum": "direct", "average": None})
    stages, starts = [], {}

    def run(stage, **options):
        stages.append(stage)
        starts.update({name: p.detach().clone() for name, p in stage.parameters.items()})
        frozen = {name: b.clone() for name, b in buffers(method).items()}
        loop.run(replace(stage, steps=3, validate=None), **options)
        assert all(torch.equal(b, frozen[name]) for name, b in buffers(method).items())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llara, "loop", Loop(run))
        method.tune(chains())
    (stage,) = stages
    changed = {name for name, p in stage.parameters.items() if not torch.equal(p, starts[name])}
    blank = "projector/" if content == "text" and settings is CHOICE else "none"
    assert {name for name in stage.parameters if not name.startswith(blank)} <= changed
    trained = {id(p) for p in stage.parameters.values()}
    assert {id(p) for p in lm.model.parameters() if p.requires_grad} <= trained
    assert all(np.array_equal(array, before[name]) for name, array in collab.state().items())


class Loop:
    """Stands for the module of that name."""

    def __init__(self, run):
        self.run = run


def buffers(method):
    return {f"{m}.{n}": b for m, module in method.reading.modules().items() for n, b in module.named_buffers()}


def test_dropout_of_the_adapters_lasts_beyond_a_validation():
    method = LLaRA(tiny_lm(), under(), **{**TIMELINE, "lora_dropout": 0.5, "dropout": 0.0})
    (stage,) = stages_of(method)
    batch = stage.epoch(np.random.default_rng(0))[0]
    generator = torch.Generator().manual_seed(0)
    for parameter in stage.parameters.values():
        if not parameter.any():  # where training starts from zero, dropping would not show
            torch.nn.init.normal_(parameter, generator=generator)

    def losses():
        return {stage.loss(batch, 0.5).item() for _ in range(4)}

    assert len(losses()) == 4
    stage.validate()
    assert len(losses()) == 4


def test_the_model_is_left_as_models_are_asked():
    method = LLaRA(tiny_lm(), under(), **{**TIMELINE, "epochs": 1}).tune(chains())
    assert not method.llm.model.training


def test_titles_are_said_as_people_say_them(timeline):
    assert timeline.title(Item(0)) == "Crime Film 1"
    odd = [timeline.title(Item(item)) for item in ODD]
    ids = chains().dataset.items["item_id"]
    assert odd[0] == ids[ODD[0]]
    assert odd[1] == f"untitled {ids[ODD[1]]}"
    assert odd[6] == "A B, C"
    assert all(odd)


def test_attributes_follow_the_title_where_there_are_any():
    method = LLaRA("none", under())
    method.catalogue = chains().dataset
    assert method.described(Item(10)).text == "Movie: Comedy Film 2 (1991). Genres: Comedy."
    assert method.described(Item(ODD[2])).text == "Movie: Heat."
    method.config = LLaRAConfig(attributes=False, domain="game")
    assert method.described(Item(10)).text == "Game: Comedy Film 2."


def test_attributes_need_not_exist():
    method = LLaRA("none", under())
    bare = chains().dataset.items.select("item_id", "title")
    method.catalogue = replace(chains().dataset, items=bare)
    assert method.described(Item(10)).text == "Movie: Comedy Film 2."


def test_the_fused_score_moves_from_the_collaborative_order_to_its_own(timeline):
    queries = asked(chains(), candidates=20)
    own = [row[list(q.candidates)] for row, q in zip(timeline.reading.score(queries), queries, strict=True)]
    theirs = under().score_candidates(queries)
    assert timeline.weight in np.linspace(0, 1, 21)
    for weight, expected in ((1.0, own), (0.0, theirs)):
        timeline_at = with_weight(timeline, weight, queries)
        for scores, row in zip(timeline_at, expected, strict=True):
            assert np.corrcoef(scores, row)[0, 1] == pytest.approx(1, abs=1e-4)


def with_weight(method, weight, queries):
    before, method.weight = method.weight, weight
    try:
        return method.score(queries)
    finally:
        method.weight = before


def test_the_weight_is_the_best_of_those_tried_on_validation(timeline):
    valid = [case.query for case in chains().valid]

    def rate(weight):
        return timeline.hit_rate(np.array(with_weight(timeline, weight, valid)), chains().valid)

    rates = {weight: rate(weight) for weight in np.linspace(0, 1, 21)}
    assert rates[timeline.weight] == max(rates.values())


def test_without_fusion_or_validation_the_language_model_speaks_alone():
    quick = {**TIMELINE, "epochs": 1}
    alone = LLaRA(tiny_lm(), under(), **quick, fusion=False).tune(chains())
    blind = LLaRA(tiny_lm(), under(), **quick).tune(replace(chains(), valid=()))
    assert alone.weight == blind.weight == 1
    queries = asked(chains(), n=3)
    for row, query, scores in zip(alone.reading.score(queries), queries, alone.score(queries), strict=True):
        np.testing.assert_array_equal(scores, row[list(query.candidates)])


def test_choice_without_validation_and_fusion_asked_for_still_tunes():
    settings = {**CHOICE, "mode": "default", "reading": "choice", "max_steps": 1, "content": "hybrid"}
    assert LLaRA(tiny_lm(), under(), **settings).tune(chains()).weight == 1


def test_models_without_vectors_are_refused():
    with pytest.raises(UsageError, match="no item vectors"):
        LLaRA(tiny_lm(), Popularity().fit(chains()), **TIMELINE).tune(chains())


def test_only_the_papers_reading_writes_titles(timeline):
    with pytest.raises(NotFittedError, match="choice"):
        timeline.generate(asked(chains(), n=1))


def test_layers_are_cut_from_above():
    method = LLaRA(tiny_lm(layers=3), under(), **{**TIMELINE, "layers": 1, "epochs": 0}).tune(chains())
    assert len(method.llm.body.layers) == 1
    assert len(adapters.adapter_state(method.llm)) == 14  # two matrices on each of seven linear layers


def test_untuned_it_still_answers():
    method = LLaRA(tiny_lm(), under(), **{**TIMELINE, "epochs": 0, "fusion": False}).tune(chains())
    scores = method.score([replace(q, candidates=()) for q in asked(chains(), n=2)])
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)  # popularity alone
    assert scores[0].argmax() == under().item_counts.argmax()


def test_a_catalogue_of_other_items_is_refused_before_anything_is_loaded():
    more = pl.concat([chains().dataset.items, chains().dataset.items.head(1)])
    with pytest.raises(UsageError, match="not fitted on chains"):
        LLaRA("no such model", under()).tune(replace(chains(), dataset=replace(chains().dataset, items=more)))
    assert len(under().item_counts) == N_ITEMS


def test_a_tiny_language_model_beats_popularity():
    split = chains()
    settings = {
        "content": "behaviour",
        "epochs": 40,
        "batch_positions": 256,
        "fusion": False,
        "head_learning_rate": 1e-2,
    }
    method = LLaRA(tiny_lm(), under(), **settings).tune(split)
    queries = asked(split, n=48, candidates=20)
    own, popular = hits(method.score(queries)), hits(Popularity().fit(split).score_candidates(queries))
    assert own > popular + 0.3, (own, popular)


@pytest.mark.slow
def test_a_real_language_model_learns_from_sixty_users():
    from tastemaker.data.sources import cache_dir

    if not any((cache_dir() / "llm").glob("smollm2-135m-*")):
        pytest.skip("smollm2-135m has not been fetched")
    split = chains(60)
    queries = asked(split, n=60, candidates=20)
    settings = {"fusion": False, "batch_positions": 512, "layers": 6, "content": "hybrid"}
    untuned = LLaRA("smollm2-135m", under(), **settings, epochs=0).tune(split)
    tuned = LLaRA("smollm2-135m", under(), **settings, epochs=12).tune(split)
    before, after = hits(untuned.score(queries)), hits(tuned.score(queries))
    assert after > before + 0.3, (before, after)
