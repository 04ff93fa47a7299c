"""Downloads are all or nothing: whatever the server does, the folder is absent or holds the right bytes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import multiprocessing
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tastemaker.data import _http, _pip, load_dataset, locate
from tastemaker.data.sources import Source, adopt, cache_dir, fetch
from tastemaker.errors import DataError, SourceError

FACTS = b"user,item\n" * 30_000


def packed(member: str = "set/facts.csv", content: bytes = FACTS, pad: int = 60_000) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(member), content, zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("padding"), bytes((n * n * 2654435761 >> 16) % 256 for n in range(pad)))
    return buffer.getvalue()


ARCHIVE = packed()
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: dict[str, Answer]
    requests: list[tuple[str, str]]
    over: threading.Event

    def do_GET(self) -> None:
        self.requests.append((self.path, self.headers.get("Range", "")))
        self.close_connection = True
        with contextlib.suppress(ConnectionError):  # the other side has had enough
            self.answers[self.path.strip("/")](self)

    def log_message(self, *args: Any) -> None:
        pass

    def say(self, body: bytes, status: int = 200, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def offset(self) -> int:
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))


def whole(h: Handler) -> None:
    start = h.offset()
    if not start:
        return h.say(ARCHIVE)
    return h.say(ARCHIVE[start:], 206, Content_Range=f"bytes {start}-{len(ARCHIVE) - 1}/{len(ARCHIVE)}")


def cut(share: float) -> Answer:
    return lambda h: h.say(ARCHIVE[: int(len(ARCHIVE) * share)], length=len(ARCHIVE))


def stalled(h: Handler) -> None:
    h.say(b"", length=len(ARCHIVE))
    h.over.wait(60)


def dripping(h: Handler) -> None:
    h.say(b"", length=len(ARCHIVE))
    for byte in ARCHIVE[:1200]:
        h.wfile.write(bytes([byte]))
        if h.over.wait(0.05):
            return


def endless(h: Handler) -> None:
    h.send_response(200)
    h.end_headers()
    for _ in range(100):
        h.wfile.write(b"x" * 50_000)


FAULTS: dict[str, Answer] = {
    "cut at 0 %": cut(0),
    "cut at 1 %": cut(0.01),
    "cut at 50 %": cut(0.5),
    "cut at 99 %": cut(0.99),
    "wrong length": lambda h: h.say(ARCHIVE, length=len(ARCHIVE) - 7),
    "wrong hash": lambda h: h.say(ARCHIVE[:-1] + b"!"),
    "other content": lambda h: h.say(b"<html>log in first</html>"),
    "500": lambda h: h.say(b"no", 500),
    "404": lambda h: h.say(b"no", 404),
    "redirect to a file": lambda h: h.say(b"", 302, Location="file:///etc/passwd"),
    "redirect to this machine": lambda h: h.say(b"", 302, Location="http://127.0.0.1:9/x"),
    "redirect to nonsense": lambda h: h.say(b"", 302, Location="http://[x"),
    "redirect for ever": lambda h: h.say(b"", 302, Location=h.path),
    "announced oversize": lambda h: h.say(b"x", length=10**9),
    "silent oversize": endless,
    "stall": stalled,
    "drip": dripping,
    "wrong range": lambda h: h.say(b"junk", 206, Content_Range="bytes 7-10/11"),
    "nonsense": lambda h: h.wfile.write(b"\0\0\0\0\n\n") and None,
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serve an answer by name; the cache is a new folder and patience is short."""
    monkeypatch.setenv("TASTEMAKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_http, "CONNECT_SECONDS", 60)
    monkeypatch.setattr(_http, "READ_SECONDS", 0.3)
    monkeypatch.setattr(_http, "PATIENCE_SECONDS", 0.6)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    handler = type("Served", (Handler,), {"answers": {}, "requests": [], "over": threading.Event()})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def serve(name: str, answer: Answer) -> str:
        handler.answers[name] = answer
        return f"http://localhost:{running.server_port}/{name}"

    serve.requests = handler.requests  # type: ignore[attr-defined]
    yield serve
    handler.over.set()  # type: ignore[attr-defined]
    running.shutdown()
    running.server_close()
    thread.join()


def source(url: str, archive: bytes = ARCHIVE, *members: str, max_bytes: int = 200_000) -> Source:
    pin = hashlib.sha256(archive).hexdigest()
    return Source(url=url, sha256=pin, max_bytes=max_bytes, members=members or ("set/facts.csv",))


def leftovers() -> list[str]:
    return sorted(str(p.relative_to(cache_dir())) for p in cache_dir().rglob("*") if p.is_file())


def test_a_good_download_is_kept_and_asked_for_once(server: Any) -> None:
    seen: list[tuple[float, float | None]] = []
    pinned = [source(server("good", whole))]
    folder = fetch(pinned, lambda task, done, total=None, note="": seen.append((done, total)), name="set")
    assert (folder / "facts.csv").read_bytes() == FACTS
    assert seen[-1] == (len(ARCHIVE), len(ARCHIVE))
    assert fetch(pinned, name="set") == folder
    assert len(server.requests) == 1
    assert leftovers() == [f"{folder.name}/facts.csv"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_server_leaves_nothing_wrong_behind(server: Any, fault: str) -> None:
    bad = source(server("bad", FAULTS[fault]))
    start = time.monotonic()
    with pytest.raises(
        SourceError, match=r"^set could not be fetched .* By hand: download http.*--from PATH`$"
    ) as raised:
        fetch([bad], name="set")
    assert str(raised.value).isprintable()
    assert time.monotonic() - start < 20
    assert [p for p in leftovers() if not p.endswith(".part")] == []
    good = source(server("good", whole))
    assert (fetch([bad, good], name="set") / "facts.csv").read_bytes() == FACTS  # the next mirror, and what was left


def test_a_cut_download_goes_on_where_it_stopped(server: Any) -> None:
    answers = iter([cut(0.5), whole])
    folder = fetch([source(server("flaky", lambda h: next(answers)(h)))], name="set")
    assert (folder / "facts.csv").read_bytes() == FACTS
    assert server.requests[1] == ("/flaky", f"bytes={len(ARCHIVE) // 2}-")


def test_an_interrupted_process_goes_on_where_it_stopped(server: Any) -> None:
    def interrupt(task: str, done: float, total: float | None = None, note: str = "") -> None:
        raise KeyboardInterrupt

    pinned = [source(server("good", whole))]
    with pytest.raises(KeyboardInterrupt):
        fetch(pinned, interrupt, name="set")
    (part,) = leftovers()
    have = (cache_dir() / part).stat().st_size
    assert have > 0
    assert (fetch(pinned, name="set") / "facts.csv").read_bytes() == FACTS
    assert server.requests[1:] == [("/good", f"bytes={have}-")]


def test_a_spoilt_part_is_thrown_away_and_fetched_afresh(server: Any) -> None:
    pinned = source(server("good", whole))
    folder = fetch([pinned], name="set")
    part = cache_dir() / f".partial-{folder.name}" / f"{pinned.sha256[:16]}.part"
    for spoilt in (b"spoilt", ARCHIVE + b"more"):
        (folder / "facts.csv").unlink()
        folder.rmdir()
        part.parent.mkdir()
        part.write_bytes(spoilt)
        assert (fetch([pinned], name="set") / "facts.csv").read_bytes() == FACTS


def test_mirrors_are_tried_in_order_and_every_reason_is_told(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_that(monkeypatch, fail=True)
    first, second = source(server("gone", FAULTS["404"])), source(server("ill", FAULTS["wrong hash"]))
    with pytest.raises(SourceError) as raised:
        fetch([first, second, Source(package="a==1", sha256="0", max_bytes=1)], name="ml-100k")
    said = str(raised.value)
    assert said.index("answered 404") < said.index("has SHA-256") < said.index("no such thing")
    assert "run `pip download --no-deps a==1`" in said
    assert "tastemaker data fetch ml-100k --from PATH" in said


def test_hostile_archives_are_refused(server: Any) -> None:
    link = zipfile.ZipInfo("set/facts.csv")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    hostile = {
        "bomb": packed(content=b"\0" * 11_000_000),
        "link": buffer.getvalue(),
        "no member": packed("../facts.csv"),
        "no zip": b"PK\x03\x04 no",
        "torn": ARCHIVE[:60] + bytes(30) + ARCHIVE[90:],
    }
    for name, content in hostile.items():
        pinned = source(server(name.replace(" ", "-"), lambda h, body=content: h.say(body)), content)
        with pytest.raises(SourceError, match=r"member|zip"):
            fetch([pinned], name="set")
    escaping = packed("../../escaped.csv")
    folder = fetch([source(server("up", lambda h: h.say(escaping)), escaping, "../../escaped.csv")], name="set")
    assert [p.name for p in folder.iterdir()] == ["escaped.csv"]
    assert not list(cache_dir().parent.glob("escaped.csv"))


def test_redirects_are_followed_within_an_origin_only(server: Any) -> None:
    canary = server("canary", whole).replace("localhost", "127.0.0.1")
    away = source(server("away", lambda h: h.say(b"", 302, Location=canary)))
    with pytest.raises(SourceError, match="redirects to a place that is not followed"):
        fetch([away], name="set")
    assert [path for path, _ in server.requests] == ["/away"]
    moved = source(server("moved", lambda h: h.say(b"", 302, Location="/canary")))
    assert (fetch([moved], name="set") / "facts.csv").read_bytes() == FACTS
    follow = _http._Redirects().redirect_request
    for url in ("https://10.0.0.1/x", "https://localhost/x", "https://intranet/x", "ftp://example.org/x"):
        with pytest.raises(SourceError):
            follow(_http.urllib.request.Request("http://example.org"), None, 302, "", {}, url)
    assert follow(_http.urllib.request.Request("http://example.org"), None, 302, "", {}, "https://example.com/x")


def test_files_that_are_no_archive_are_kept_as_they_are(server: Any) -> None:
    pinned = Source(
        url=server("plain.txt", lambda h: h.say(b"text")), sha256=hashlib.sha256(b"text").hexdigest(), max_bytes=9
    )
    assert (fetch([pinned], name="plain") / "plain.txt").read_bytes() == b"text"


def test_addresses_that_are_not_http_are_never_opened(server: Any) -> None:
    for url in ("file:///etc/passwd", "ftp://localhost/x", "nonsense"):
        with pytest.raises(SourceError, match="not an http or https address"):
            fetch([source(url)], name="set")


def _fetch_in_process(pinned: Source, gate: Any) -> None:
    gate.wait()
    sys.exit(0 if (fetch([pinned], name="set") / "facts.csv").read_bytes() == FACTS else 1)


def test_processes_that_fetch_at_once_all_get_it(server: Any) -> None:
    pinned = source(server("good", whole))
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(3)
    workers = [context.Process(target=_fetch_in_process, args=(pinned, gate)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    assert [worker.exitcode for worker in workers] == [0] * 3
    assert len(server.requests) == 1
    assert len(leftovers()) == 1
    assert [p.name for p in cache_dir().iterdir()] == [fetch([pinned], name="set").name]


def test_threads_that_fetch_at_once_all_get_it(server: Any) -> None:
    for _ in range(10):
        pinned = source(server("good", whole))
        with ThreadPoolExecutor(8) as threads:
            folders = list(threads.map(lambda _, p=pinned: fetch([p], name="set"), range(8)))
        assert {(folder / "facts.csv").read_bytes() for folder in folders} == {FACTS}
        (folder,) = cache_dir().iterdir()
        (folder / "facts.csv").unlink()
        folder.rmdir()


PIP = """
import sys, pathlib
print("Progress 5 of 10", flush=True)
if {fail!r}:
    print("ERROR: no such thing")
    sys.exit(1)
for name in {names!r}:
    (pathlib.Path(sys.argv[1]) / name).write_bytes(pathlib.Path(sys.argv[2]).read_bytes())
"""


def pip_that(monkeypatch: pytest.MonkeyPatch, *names: str, fail: bool = False) -> None:
    script, wheel = PIP.format(fail=fail, names=names), cache_dir().parent / "wheel"
    wheel.write_bytes(ARCHIVE)
    monkeypatch.setattr(_pip, "_command", lambda package, folder: [sys.executable, "-c", script, folder, str(wheel)])


def test_a_package_is_fetched_through_pip(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_that(monkeypatch, "a-1-py3-none-any.whl")
    seen: list[float] = []
    pinned = Source(package="a==1", sha256=source("x").sha256, max_bytes=200_000, members=("set/facts.csv",))
    folder = fetch([pinned], lambda task, done, total=None, note="": seen.append(done), name="set")
    assert (folder / "facts.csv").read_bytes() == FACTS
    assert seen == [5, len(ARCHIVE)]


def test_a_package_that_pip_cannot_bring_is_told(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = Source(package="a==1", sha256=source("x").sha256, max_bytes=200_000)
    pip_that(monkeypatch, fail=True)
    with pytest.raises(SourceError, match=r"a==1: pip: no such thing.* By hand"):
        fetch([pinned], name="set")
    with pytest.raises(SourceError, match=r"a==1: pip: no such thing\)$"):
        fetch([pinned], name="set", dataset=False)
    talks = "print('WARNING: Retrying (total=1)', flush=True); print('ERROR: No matching'); exit(1)"
    monkeypatch.setattr(_pip, "_command", lambda package, folder: [sys.executable, "-c", talks])
    with pytest.raises(SourceError, match="its package index could not be reached; No matching"):
        fetch([pinned], name="set")
    pip_that(monkeypatch, "a.tar.gz")
    with pytest.raises(SourceError, match="pip brought 0 wheels"):
        fetch([pinned], name="set")
    pip_that(monkeypatch, "a.whl")
    with pytest.raises(SourceError, match="is larger than the 9 bytes allowed"):
        fetch([Source(package="a==1", sha256="0", max_bytes=9)], name="set")
    monkeypatch.undo()
    for wrong in ("a", "a==1 --index-url=x", "-r==1", "a>=1"):
        with pytest.raises(SourceError, match="not of the form name==version"):
            _pip.download(wrong, Path("x"), lambda done, total: None)


def test_an_archive_fetched_by_hand_is_verified_and_adopted(server: Any, tmp_path: Path) -> None:
    pinned = [source("http://localhost:9/x")]
    (tmp_path / "right.zip").write_bytes(ARCHIVE)
    (tmp_path / "wrong.zip").write_bytes(ARCHIVE + b"!")
    with pytest.raises(SourceError, match=r"wrong.zip: SHA-256 .* is not that of http://localhost:9/x"):
        adopt(pinned, tmp_path / "wrong.zip", name="set")
    folder = adopt(pinned, tmp_path / "right.zip", name="set")
    assert (folder / "facts.csv").read_bytes() == FACTS
    assert fetch(pinned, name="set") == adopt(pinned, tmp_path / "right.zip", name="set") == folder
    with pytest.raises(DataError, match="cannot be read"):
        adopt(pinned, tmp_path / "none.zip", name="set")
    with pytest.raises(SourceError, match=r"recbole==1.2.1"):
        locate("ml-100k", tmp_path / "right.zip")


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TASTEMAKER_CACHE", str(tmp_path / "file"))
    with pytest.raises(SourceError, match=r"cannot be written: .*; set TASTEMAKER_CACHE"):
        fetch([source("http://localhost:9/x")], name="set")


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASTEMAKER_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_dir() == Path("/x/tastemaker")
    monkeypatch.setenv("TASTEMAKER_CACHE", "/y")
    assert cache_dir() == Path("/y")


def test_no_network_names_the_manual_step(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASTEMAKER_DATA", raising=False)

    def offline(*args: Any, **options: Any) -> None:
        raise SourceError("its host cannot be found")

    monkeypatch.setattr(_http, "download", offline)
    monkeypatch.setattr(_pip, "download", offline)
    with pytest.raises(SourceError) as raised:
        load_dataset("ml-100k")
    assert "`pip download --no-deps recbole==1.2.1`" in str(raised.value)
    assert "tastemaker data fetch ml-100k --from PATH" in str(raised.value)
