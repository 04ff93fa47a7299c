"""Items added at run time are recommended at once, by what their texts say, and never crowd out the others."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cinema
import numpy as np
import pytest
from served import Served
from talks import Talk

from tastemaker.serve.app import build_app
from tastemaker.serve.chat.catalogue import Catalogue
from tastemaker.serve.chat.engine import Engine
from tastemaker.serve.chat.newcomers import merged
from tastemaker.serve.chat.shelf import Shelf
from tastemaker.serve.chat.vocabulary import Vocabulary
from tastemaker.serve.keys import Keys
from tastemaker.serve.recommendations import Recommendations
from tastemaker.serve.service import Service
from tastemaker.serve.settings import Settings
from tastemaker.serve.store import open_database

HORROR = {"title": "The Hidden Tower Returns (1993)", "genres": ["Horror", "Crime"], "year": 1993}


@pytest.fixture
def own(tmp_path: Path) -> Engine:
    return cinema.engine(tmp_path / "catalogues")


@pytest.fixture
def served(own: Engine, tmp_path: Path) -> Iterator[Served]:
    service = Service.build(
        Recommendations(own.main.recommender), own, open_database(tmp_path / "db"), Settings(rate=1e9, burst=1e9)
    )
    yield Served(service, own, build_app(service, Keys()))  # type: ignore[arg-type]
    service.close()


def asked(served: Served, n: int = 10, **body: Any) -> list[dict[str, Any]]:
    answer = served.ask("POST", "/v1/recommendations", {"n": n, **body})
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["recommendations"]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert len({row["item_id"] for row in rows}) == len(rows) == n
    return rows


def added(served: Served, *rows: dict[str, Any]) -> None:
    outside = ("item_id", "title")
    items = [
        {**{k: row[k] for k in outside}, "attributes": {k: v for k, v in row.items() if k not in outside}}
        for row in rows
    ]
    assert served.ask("POST", "/v1/items", {"items": items}).status_code == 201


def test_one_that_is_like_what_was_chosen_is_recommended_at_once(served: Served, own: Engine) -> None:
    twin = own.main.row("f4")
    before = [row["item_id"] for row in asked(served, history=["f4"])]
    added(served, {**twin, "item_id": "new"})
    rows = asked(served, history=["f4"])
    assert (rows[1]["item_id"], rows[1]["title"], rows[1]["score"]) == ("new", twin["title"], None)
    assert [row["item_id"] for row in rows if row["item_id"] != "new"] == before[:9]


def test_many_take_every_other_place_at_most(served: Served) -> None:
    added(served, *({**HORROR, "item_id": f"n{i}"} for i in range(30)))
    ids = [row["item_id"] for row in asked(served, user="u4")]
    assert sum(item.startswith("n") for item in ids) <= 5
    assert not ids[0].startswith("n")


def test_a_history_of_nothing_else_gets_a_whole_list_without_them(served: Served, own: Engine) -> None:
    added(served, *({**HORROR, "item_id": f"n{i}"} for i in range(3)))
    ids = [row["item_id"] for row in asked(served, history=["n0", "n1"])]
    assert not {"n0", "n1"} & set(ids)
    stand_in = own.stand_in("n0")
    assert stand_in is not None
    assert own.main.catalogue.row(stand_in) < own.main.own
    assert own.stand_in(stand_in) is None
    assert own.main.recommender.recommend(histories=[[stand_in]], n=1)["item_id"][0] in ids


def test_what_is_disliked_goes_and_what_is_liked_is_not_shown_again(served: Served) -> None:
    added(served, *({**HORROR, "item_id": f"n{i}"} for i in range(2)))
    served.ask("POST", "/v1/feedback", {"user": "u4", "item": "n0", "verdict": "dislike"})
    served.ask("POST", "/v1/feedback", {"user": "u4", "item": "n1", "verdict": "like"})
    assert not {"n0", "n1"} & {row["item_id"] for row in asked(served, user="u4")}


def test_named_candidates_are_the_only_ones(served: Served) -> None:
    added(served, {**HORROR, "item_id": "n0"})
    assert {row["item_id"] for row in asked(served, 2, history=["f0"], candidates=["f3", "f5"])} == {"f3", "f5"}


def test_an_unknown_item_is_still_refused(served: Served) -> None:
    answer = served.ask("POST", "/v1/recommendations", {"history": ["no such film"]})
    assert answer.status_code == 422
    assert "history" in answer.text


def test_newcomers_stand_twice_as_far_down_as_by_meaning() -> None:
    rows = [{"item_id": f"f{i}", "rank": i} for i in range(6)]
    found = merged(rows, [({"item_id": "n0"}, 0), ({"item_id": "n2"}, 2)], 5)
    assert [row["item_id"] for row in found] == ["f0", "n0", "f1", "f2", "f3"]
    assert [row["rank"] for row in found] == [1, 2, 3, 4, 5]
    assert merged(rows[:2], [({"item_id": "n0"}, 0), ({"item_id": "n1"}, 1)], 9)[1]["item_id"] == "n0"


def test_items_added_while_a_reply_is_made_do_not_break_it(own: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, numbers = own.main.recommender.answer, itertools.count()

    def slow(*arguments: Any, **options: Any) -> Any:
        own.add_items([{"item_id": f"n{next(numbers)}", "title": "Added"}])
        return answer(*arguments, **options)

    monkeypatch.setattr(own.main.recommender, "answer", slow)
    assert len(Talk(own, user_id="u3")("something quiet")) == 10
    assert len(Talk(own, user_id="u3")("something quiet")) == 10
    assert next(numbers) == 2


def test_what_another_process_added_does_not_break_this_one(tmp_path: Path) -> None:
    one, other = cinema.engine(tmp_path), cinema.engine(tmp_path)
    one.add_items([{"item_id": "a1", "title": "Zeppelin Sonata"}])
    other.add_items([{"item_id": "b1", "title": "Other Thing"}])
    assert other.search("zeppelin", 3)
    assert len(Talk(other, user_id="u3")("something quiet")) == 10
    assert {"a1", "b1"} <= set(cinema.engine(tmp_path).main.catalogue.items["item_id"])


def test_a_reply_makes_no_search_for_each_new_item(own: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    own.add_items([{"item_id": f"m{i}", "title": f"Film {i}"} for i in range(30)])
    searched, nearest = [], Catalogue.nearest

    def counted(*arguments: Any, **options: Any) -> Any:
        searched.append(1)
        return nearest(*arguments, **options)

    monkeypatch.setattr(Catalogue, "nearest", counted)
    assert Talk(own, user_id="u3")("recommend something")
    assert len(searched) <= 1


def test_what_was_there_is_not_read_again_for_an_item_more(own: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, read, add = own.main, list[str](), Vocabulary.add
    before, names = shelf.now(), dict(shelf.vocabulary._titles)
    monkeypatch.setattr(Vocabulary, "add", lambda self, item, title: (read.append(item), add(self, item, title))[1])
    title = shelf.row("f1")["title"]
    shelf.add([{"item_id": "new", "title": title, "genres": ["Opera"], "year": 2001}])
    assert read == ["new"]
    whole = Shelf(shelf.recommender, shelf.catalogue)
    for what in ("_titles", "_values"):
        assert getattr(shelf.vocabulary, what) == getattr(whole.vocabulary, what)
    assert (shelf._rows, shelf._names) == (whole._rows, whole._names)
    for row in shelf._rows:
        np.testing.assert_array_equal(shelf.reasons.overlap(row), whole.reasons.overlap(row))
        assert shelf.reasons.plain(row) == whole.reasons.plain(row)
    assert before.vocabulary._titles == names  # whoever reads what was there finds nothing else


def test_a_limit_of_more_messages_than_fifty_is_kept_to(own: Engine, tmp_path: Path) -> None:
    limits = Settings(rate=1e9, burst=1e9, turns=60)
    service = Service.build(Recommendations(own.main.recommender), own, open_database(tmp_path / "db"), limits)
    served = Served(service, own, build_app(service, Keys()))  # type: ignore[arg-type]
    said = {"message": "thanks", "stream": False}
    dialogue = served.ask("POST", "/v1/chat", said).json()["dialogue_id"]
    told = [served.ask("POST", "/v1/chat", {**said, "dialogue_id": dialogue}) for _ in range(60)]
    service.close()
    assert [answer.status_code for answer in told] == [200] * 59 + [422]


def pieces(catalogue: Catalogue) -> int:
    return int(catalogue._table.stats()["fragment_stats"]["num_fragments"])


def test_items_that_come_one_by_one_are_joined_while_others_read(own: Engine, tmp_path: Path) -> None:
    catalogue, ids = own.main.catalogue, [f"n{i}" for i in range(40)]
    missed, ended = list[str](), threading.Event()

    def read() -> None:
        while not ended.wait(0.02):
            known = [one for one in ids if one in catalogue]
            missed.extend({*known} - {one for one, _ in catalogue.search("zeppelin", 300)})

    reader = threading.Thread(target=read)
    reader.start()
    most = 0
    for one in ids:
        catalogue.add([{**HORROR, "item_id": one, "title": f"Zeppelin {one}"}])
        most = max(most, pieces(catalogue))
    ended.set()
    reader.join()
    assert missed == []
    assert most <= 33
    assert catalogue.vectors(ids).shape[0] == 40
    assert {*ids} <= {*cinema.engine(tmp_path / "catalogues").main.catalogue.items["item_id"]}


def test_an_item_is_in_though_nothing_can_be_joined(
    own: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise OSError("no room")

    monkeypatch.setattr(own.main.catalogue._table, "stats", fails)
    assert own.main.catalogue.add([{**HORROR, "item_id": "n1"}]) == ["n1"]
    assert "n1" in own.main.catalogue
    assert "no room" in caplog.text
