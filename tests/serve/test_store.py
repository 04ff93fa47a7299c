"""State survives a restart, on SQLite and on a real PostgreSQL; two at once do not overwrite each other."""

from __future__ import annotations

import itertools
import os
import signal
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import Serve, events
from sqlalchemy import insert, inspect, text

from tastemaker.errors import ConfigError, UsageError
from tastemaker.serve.chat.dialogue import Dialogue, Turn, Wants
from tastemaker.serve.chat.state import undone
from tastemaker.serve.store import Database, Dialogues, Feedback, Kept, migrations, open_database
from tastemaker.serve.store.feedback import with_verdicts
from tastemaker.serve.store.migrations import MIGRATIONS
from tastemaker.serve.store.tables import metadata


@pytest.fixture(scope="module")
def postgres() -> Iterator[Callable[[], str]]:
    """The URLs of empty databases on a real server of our own."""
    pgserver = pytest.importorskip("pgserver", reason="pgserver is not installed; it has wheels for x86-64 only")
    # Not below pytest's folder: the server may run as another user, to whom a second run of pytest would close it.
    folder = tempfile.TemporaryDirectory(prefix="tastemaker-", ignore_cleanup_errors=True)
    server = pgserver.get_server(Path(folder.name) / "data", cleanup_mode=None)
    numbers = itertools.count()

    def make() -> str:
        name = f"empty{next(numbers)}"
        server.psql(f"CREATE DATABASE {name}")
        return str(server.get_uri(database=name))

    yield make
    os.kill(server.get_pid(), signal.SIGQUIT)  # at once: nothing of it is needed any more
    folder.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is."""
    if request.param == "sqlite":
        return str(tmp_path / "deep" / "state.sqlite3")
    return str(request.getfixturevalue("postgres")())


@pytest.fixture
def database(where: str) -> Iterator[Database]:
    found = open_database(where)
    yield found
    found.close()


def spoken(kept: Kept, *texts: str) -> Dialogue:
    turns = [*kept.dialogue.turns, *(Turn(role="user", text=text) for text in texts)]
    return kept.dialogue.model_copy(update={"turns": turns})


def saved(dialogues: Dialogues, owner: str, *texts: str, thread: str = "") -> str:
    kept = dialogues.new(owner)
    assert dialogues.save(kept, spoken(kept, *texts), thread)
    return kept.dialogue.id


def test_the_migrations_make_the_tables(database: Database) -> None:
    found = inspect(database.engine)
    for table in metadata.sorted_tables:
        made = {column["name"]: column for column in found.get_columns(table.name)}
        assert made.keys() == {column.name for column in table.columns}
        assert [made[c.name]["nullable"] for c in table.columns] == [c.nullable for c in table.columns]
        assert set(found.get_pk_constraint(table.name)["constrained_columns"]) == {c.name for c in table.primary_key}
        indexed = {(index["name"], tuple(index["column_names"])) for index in found.get_indexes(table.name)}
        assert indexed == {(index.name, tuple(index.columns.keys())) for index in table.indexes}


def test_dialogues_of_the_first_version_are_kept(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:1])
        first = open_database(where)
    state = Dialogue(id="d", likes=["f1"]).model_dump_json()
    row = {
        "id": "d",
        "owner": "ann",
        "title": "",
        "state": state,
        "version": 1,
        "thread": "t",
        "made": 1,
        "used": 2**45,
    }
    with first.engine.begin() as connection:
        connection.execute(insert(metadata.tables["dialogues"]).values(row))
    first.close()
    second = open_database(where)
    kept = Dialogues(second, most=9, days=1).of_thread("ann", "t")
    assert kept is not None
    assert kept.dialogue.likes == ["f1"]
    second.close()


def test_state_survives_a_restart(where: str) -> None:
    first = open_database(where)
    id = saved(Dialogues(first, most=9, days=1), "ann", "hello \x00 \u2028 <b>", "two", thread="t")
    Feedback(first).add("ann", "user:u1", "f1", "like")
    first.close()
    second = open_database(where)
    dialogues = Dialogues(second, most=9, days=1)
    kept = dialogues.get("ann", id)
    assert kept is not None
    assert [turn.text for turn in kept.dialogue.turns] == ["hello \x00 \u2028 <b>", "two"]
    assert Feedback(second).of_user("ann", "u1") == {"f1": "like"}
    (listed,) = dialogues.list("ann", 5)
    assert listed.title == "hello <b>"
    found = dialogues.of_thread("ann", "t")
    assert found is not None
    assert found.dialogue.id == id
    assert dialogues.of_thread("bob", "t") is None
    second.close()


def test_of_two_saves_one_is_refused(database: Database) -> None:
    dialogues = Dialogues(database, most=9, days=1)
    id = saved(dialogues, "ann", "one")
    one, two = dialogues.get("ann", id), dialogues.get("ann", id)
    assert one
    assert two
    assert dialogues.save(one, spoken(one, "first"), "")
    assert not dialogues.save(two, spoken(two, "second"), "")
    kept = dialogues.get("ann", id)
    assert kept
    assert [turn.text for turn in kept.dialogue.turns] == ["one", "first"]
    assert dialogues.delete("ann", id) == 1
    assert not dialogues.save(kept, spoken(kept, "third"), ""), "what was deleted stays so"
    assert dialogues.get("ann", id) is None


def test_feedback_is_taken_up_once_and_the_newest_counts(database: Database) -> None:
    dialogues, feedback = Dialogues(database, most=9, days=1), Feedback(database)
    id = saved(dialogues, "ann", "one")
    feedback.add("ann", f"dialogue:{id}", "f1", "like")
    feedback.add("bob", f"dialogue:{id}", "f2", "like")
    kept = dialogues.get("ann", id)
    assert kept
    assert (kept.dialogue.likes, kept.dialogue.dislikes) == (["f1"], [])
    feedback.add("ann", f"dialogue:{id}", "f1", "dislike")
    assert dialogues.save(kept, spoken(kept, "two"), "")
    again = dialogues.get("ann", id)
    assert again
    assert (again.dialogue.likes, again.dialogue.dislikes) == ([], ["f1"]), "it was judged anew meanwhile"
    unliked = again.dialogue.model_copy(update={"dislikes": []})
    assert dialogues.save(again, unliked, "")
    last = dialogues.get("ann", id)
    assert last
    assert last.dialogue.dislikes == [], "words may take it back; it is not laid over them a second time"


def test_the_least_used_dialogues_are_forgotten(database: Database) -> None:
    dialogues = Dialogues(database, most=3, days=1)
    other = saved(dialogues, "bob", "mine")
    ids = [saved(dialogues, "ann", str(i)) for i in range(3)]
    with database.engine.begin() as connection:
        for age, id in enumerate(ids):
            connection.execute(text("UPDATE dialogues SET used = used - :a WHERE id = :i"), {"a": 9 - age, "i": id})
    Feedback(database).add("ann", f"dialogue:{ids[0]}", "f1", "like")
    new = saved(dialogues, "ann", "new")
    assert [one.id for one in dialogues.list("ann", 9)] == [new, ids[2], ids[1]]
    with database.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM feedback")).scalar() == 0
        connection.execute(text("UPDATE dialogues SET used = 0 WHERE id = :i"), {"i": ids[1]})
    assert dialogues.get("ann", ids[1]) is None
    assert len(dialogues.list("ann", 9)) == 2
    saved(dialogues, "ann", "newer")
    with database.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM dialogues")).scalar() == 4
    assert dialogues.get("bob", other)


def test_ids_cannot_be_guessed(database: Database) -> None:
    dialogues = Dialogues(database, most=9, days=1)
    ids = {dialogues.new("ann").dialogue.id for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(len(id) == 32 and int(id, 16) >= 0 for id in ids)


def test_many_threads_write_at_once(database: Database) -> None:
    dialogues, feedback = Dialogues(database, most=500, days=1), Feedback(database)
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(10):
                id = saved(dialogues, name, str(number))
                feedback.add(name, f"dialogue:{id}", "f1", "like")
                kept = dialogues.get(name, id)
                assert kept
                assert dialogues.save(kept, spoken(kept, "more"), "")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"owner{i % 4}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(len(dialogues.list(f"owner{i}", 1_000)) for i in range(4)) == 80


def test_many_may_start_at_once(where: str) -> None:
    opened: list[Database] = []
    threads = [threading.Thread(target=lambda: opened.append(open_database(where))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 6
    with opened[0].engine.begin() as connection:
        assert connection.execute(text("SELECT version FROM tastemaker_schema")).scalars().all() == [len(MIGRATIONS)]
        connection.execute(text("UPDATE tastemaker_schema SET version = 99"))
    for database in opened:
        database.close()
    with pytest.raises(UsageError, match="of version 99"):
        open_database(where)


def test_a_conversation_is_kept_by_any_database(serve: Serve, where: str) -> None:
    served = serve(db=where)
    done = events(served.ask("POST", "/v1/chat", {"message": "one"}).text)[-1][1]
    feedback = {"dialogue_id": done["dialogue"]["id"], "item": "f0", "verdict": "dislike"}
    assert served.ask("POST", "/v1/feedback", feedback).status_code == 204
    again = serve(db=where)
    again.ask("POST", "/v1/chat", {"message": "two", "dialogue_id": done["dialogue"]["id"]})
    assert again.talker.dialogues[-1].dislikes == ["f0"]
    assert len(again.talker.dialogues[-1].turns) == 2


def test_files_are_their_owner_s_alone(tmp_path: Path) -> None:
    open_database(tmp_path / "a" / "state.sqlite3").close()
    assert stat.S_IMODE((tmp_path / "a" / "state.sqlite3").stat().st_mode) == 0o600


def test_what_cannot_be_opened_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, but it is long enough to look at" * 100)
    (tmp_path / "folder").mkdir()
    for where in (
        str(tmp_path / "text"),
        str(tmp_path / "folder"),
        str(tmp_path / "text" / "below"),
        "mysql://root:hunter2@localhost/x",
        "nonsense://x",
        "postgresql://ann:hunter2@127.0.0.1:1/none",
    ):
        with pytest.raises(ConfigError) as caught:
            open_database(where)
        assert "\n" not in str(caught.value)
        assert "hunter2" not in str(caught.value)


def test_a_database_that_fails_is_told_and_nothing_else_breaks(serve: Serve, tmp_path: Path) -> None:
    served = serve(db=tmp_path / "state.sqlite3")
    with served.service.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE dialogues RENAME TO gone"))
    answer = served.ask("GET", "/v1/dialogues")
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "database")
    assert "gone" not in answer.text
    name, told = events(served.ask("POST", "/v1/chat", {"message": "x"}).text)[-1]
    assert (name, told["error"]["type"]) == ("error", "database")
    assert served.ask("POST", "/v1/recommendations", {"history": ["f1"]}).status_code == 200
    assert served.ask("GET", "/readyz").status_code == 200


def test_undo_takes_back_words_and_not_verdicts() -> None:
    asked = Dialogue(id="d", likes=["f2"], past=[Wants(likes=["f2"])])
    back = undone(with_verdicts(asked, {"f1": "dislike", "f2": "none"}))
    assert back is not None
    assert (back.likes, back.dislikes) == ([], ["f1"])
