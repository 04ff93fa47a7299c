"""Profiles say what the history shows, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.data.dataset import Dataset
from tastemaker.errors import ArtifactError
from tastemaker.llm.fake import LIARS, FakeLM
from tastemaker.llm.local import LocalLM
from tastemaker.methods import _palr_profile as profiles
from tastemaker.methods._palr_profile import Keywords
from tastemaker.methods._palr_prompts import names_of
from tastemaker.methods.palr import PALR, Keyword, Profile
from tastemaker.testing.methods import LENGTH, ODD, chains, under, write_lm
from tastemaker.testing.tiny_llm import tiny_lm
from tastemaker.types import Item, Query

DATA = chains().dataset
NAMES = names_of(DATA, limit=80)
WORDS = Keywords(DATA)


def test_counted_keywords_stand_out_and_have_evidence():
    profile = WORDS.profile([0, 1, 2, 12])
    assert profile.words[0] == "Crime"
    assert profile.keywords[0].evidence == ("i2", "i1", "i0")
    assert profile.keywords[0].lift > 2
    assert "Comedy" not in profile.words  # one film shows nothing
    assert WORDS.profile([12]).words[0] == "Comedy"  # unless there is but one


def test_the_base_rate_counts():
    items = pl.DataFrame(
        {"item_id": list("abcdefgh"), "title": list("abcdefgh"), "genres": [["Drama"]] * 6 + [["Noir"]] * 2}
    )
    words = Keywords(Dataset.of_items(items))
    assert words.profile([0, 1, 6, 7]).words == ("Noir",)


def test_any_attribute_is_a_keyword_and_titles_stand_in():
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "title": ["Rose soap", "Rose oil", "Shampoo"],
            "brand": ["OPI", "OPI", None],
            "year": [1994, 1999, None],
            "story": ["x" * 300, "x" * 300, "y"],
        }
    )
    data = Dataset.of_items(items)
    assert set(Keywords(data).words) == {"brand OPI", "the 1990s"}
    assert Keywords(Dataset.of_items(items.select("item_id", "title"))).words == ["rose"]
    blank = Dataset.of_items(items.select("item_id").with_columns(title=pl.lit("")))
    assert Keywords(blank).profile([0, 1]) == Profile(())
    assert Keywords(blank).matches([[0], []]).shape == (2, 3)


def test_matches_are_shares_of_the_taste():
    (row, nobody) = WORDS.matches([[0, 1, 2], []])
    assert row.max() <= 1 + 1e-6
    assert row[3] > row[12]
    assert not nobody.any()


def test_what_is_written_is_verified():
    text = (
        'Crime: "Crime Film 1", "Crime Film 2"; Horror: "Crime Film 1"; Love: "Nobody Made This"; film: "crime film 3"}'
    )
    profile = profiles.verified(text, WORDS, NAMES, [0, 1, 2])
    assert profile == Profile((Keyword("Crime", ("i0", "i1")), Keyword("film", ("i2",))), "written")


@settings(max_examples=150)
@given(
    text=st.text(max_size=200)
    | st.lists(st.sampled_from([*NAMES[:4], '": "', '"', ";", ": ", "Crime", "{", "\n"])).map("".join)
)
def test_reading_a_profile_is_total(text):
    history = [0, 1, ODD[2]]
    for one in profiles.verified(text, WORDS, NAMES, history).keywords:
        assert one.word
        assert one.evidence
        assert set(one.evidence) <= {f"i{item}" for item in history}


@pytest.mark.parametrize("liar", LIARS)
def test_liars_leave_no_trace(liar):
    method = PALR(FakeLM(mode=liar), under(), decode="trie", profile="written").tune(chains())
    profile = method.profile(Query((Item(0), Item(1))))
    assert {i for one in profile.keywords for i in one.evidence} <= {"i0", "i1"}
    assert method.words(Query((Item(0), Item(1))))[0] == "Crime"  # counted, where nothing holds


def test_a_written_profile_is_asked_for_once_and_kept():
    lm = FakeLM(['Crime: "Crime Film 2"'])
    method = PALR(lm, under(), decode="trie").tune(chains())
    query = Query((Item(0), Item(1)))
    assert method.profile(query).source == "counted"
    assert method.profile(query, written=True).words == ("Crime",)
    assert method.profile(query, written=True).words == ("Crime",)
    assert len(lm.prompts) == 1
    assert '"Crime Film 1": the 1990s, Crime' in lm.prompts[0].text()
    assert method.profile(Query(()), written=True) == Profile((), "written")


def test_profiles_are_saved_unless_nobody_should_be_known(tmp_path):
    settings_ = {"epochs": 0, "batch_positions": 256, "n": 10}
    method = PALR(str(write_lm(tmp_path / "lm")), under(), **settings_).tune(chains())
    method.written = {"some": Profile((Keyword("Crime", ("i1", "i0")),), "written"), "none": Profile((), "written")}
    method.save(tmp_path / "saved")
    assert PALR.load(tmp_path / "saved").written == method.written
    method.without_users().save(tmp_path / "bare")
    assert PALR.load(tmp_path / "bare").written == {}
    assert method.written


def test_damaged_profiles_are_refused():
    for evidence in ([99999], [-1]):
        frame = pl.DataFrame({"key": ["a"], "word": ["b"], "evidence": [evidence]})
        with pytest.raises(ArtifactError, match="profiles"):
            profiles.unpacked(frame, ["i0"], "here")
    with pytest.raises(ArtifactError, match="profiles"):
        profiles.unpacked(pl.DataFrame({"key": ["a"]}), ["i0"], "here")


def test_genres_of_the_made_up_films_are_found_for_everybody():
    for user in range(8):
        history = chains().sequences[user].tolist()
        top = WORDS.profile(history).words[0]
        assert top == DATA.items["genres"][history[-1]][0]
    assert LENGTH == 9
    assert np.isfinite(WORDS.base).all()


def test_a_profile_is_asked_for_with_as_much_history_as_fits():
    lm = tiny_lm()
    lm.config.max_position_embeddings = 500
    method = PALR(lm, under(), epochs=0, n=10).tune(chains())
    assert method.profile(Query(tuple(map(Item, range(20)))), written=True).source == "written"


def test_whoever_is_still_learning_writes_no_profile(monkeypatch):
    settings = {"epochs": 2, "batch_positions": 256, "validate_cases": 4, "validate_every": 1, "n": 10}
    method = PALR(tiny_lm(), under(), profile="written", **settings)
    asked, wrote = [], LocalLM.generate

    def generate(lm, prompts, **options):
        asked.append({n: p.detach().clone() for n, p in lm.model.named_parameters() if "lora" in n})
        return wrote(lm, prompts, **{**options, "max_new_tokens": 1})

    monkeypatch.setattr(LocalLM, "generate", generate)
    method.tune(chains())
    assert asked
    final = {n: p for n, p in method.llm.model.named_parameters() if "lora" in n}
    assert final
    assert all(torch.equal(then[name], final[name]) for then in asked for name in final)
    renamed = chains().dataset.items.with_columns(item_id=pl.lit("other-") + pl.col("item_id"))
    method.written["old"] = Profile((Keyword("Crime", ("i1",)),), "written")
    again = replace(chains(), dataset=replace(chains().dataset, items=renamed))
    method.tune(again)
    assert "old" not in method.written


def test_a_run_does_not_go_on_in_other_numbers(tmp_path):
    settings = {"epochs": 1, "batch_positions": 256, "validate_cases": 4, "n": 10}
    PALR(tiny_lm(), under(), **settings).tune(chains(), run_dir=tmp_path)
    lm = tiny_lm()
    lm.model.bfloat16()
    with pytest.raises(ArtifactError, match="other number_format; number_format was float32, is bfloat16"):
        PALR(lm, under(), **settings).tune(chains(), run_dir=tmp_path)
