"""A server that speaks OpenAI's protocol -> a language model: vLLM, SGLang, llama.cpp, or a company's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

import numpy as np

from tastemaker.errors import LanguageModelError, PromptError
from tastemaker.llm.base import LanguageModel, aligned
from tastemaker.llm.breaker import Breaker
from tastemaker.prompts.prompt import Prompt
from tastemaker.types import FloatArray

T = TypeVar("T")
CONNECT_SECONDS, READ_SECONDS = 5.0, 20.0
LONGEST = 100_000
"""Characters taken of an answer; a server that does not stop is cut off."""
_CHOICE_TOKENS = 256
_STRUCTURE = str.maketrans("<>[]{}|", "‹›()()¦")  # noqa: RUF001 - what a stranger's tokenizer might read as markup


class RemoteLM(LanguageModel):
    """``RemoteLM("http://127.0.0.1:8000/v1", "qwen")``; the key comes from ``OPENAI_API_KEY`` unless given.

    Prompts go as one user's turn, so that the server puts its own chat template around them. Its tokenizer is not
    ours to set, so brackets in foreign text become look-alikes that no template uses. Each try ends after 5 seconds
    without a connection or 20 without a word; ``retries`` more are made, and after five failures in a row or one such
    wait none for ten seconds (`Breaker`). Everything that goes wrong is a `LanguageModelError`.
    """

    concurrent: ClassVar[bool] = True

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str | None = None,
        retries: int = 1,
        parallel: int = 8,
        connect: float = CONNECT_SECONDS,
        read: float = READ_SECONDS,
        breaker: Breaker | None = None,
    ) -> None:
        try:
            import openai
        except ImportError:
            raise LanguageModelError("remote models need openai; run pip install 'tastemaker[remote]'") from None
        self.name, self.retries, self.breaker = model, retries, breaker or Breaker(url)
        self._parallel, self._stall = parallel, openai.APITimeoutError
        self._client: Any = openai.OpenAI(
            base_url=url,
            api_key=key or os.environ.get("OPENAI_API_KEY") or "none",
            timeout=openai.Timeout(read, connect=connect),
            max_retries=0,  # ours are counted by the breaker
        )

    def score(self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[Prompt]]) -> list[FloatArray]:
        """Log-probabilities of the continuations, from servers that echo prompts with theirs (vLLM does)."""
        aligned(prompts, continuations, "continuations")
        heads = [_text(prompt) for prompt in prompts]
        pairs = [(h, h + _text(one)) for h, several in zip(heads, continuations, strict=True) for one in several]
        found = iter(self._each(lambda pair: self._log_probability(*pair), pairs))
        return [np.array([next(found) for _ in several], dtype=np.float32) for several in continuations]

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        choices: Sequence[Sequence[Prompt]] | None = None,
        max_new_tokens: int = 64,
        stop: str = "\n",
    ) -> list[str]:
        """Text per prompt; with ``choices``, the server is bound to them by a JSON schema, and checked."""
        if choices is not None:
            aligned(prompts, choices, "choices")
            return self._each(lambda pair: self._choice(*pair), list(zip(prompts, choices, strict=True)))
        return self._each(lambda p: "".join(self.stream(p, max_new_tokens=max_new_tokens, stop=stop)), prompts)

    def stream(self, prompt: Prompt, *, max_new_tokens: int = 64, stop: str = "\n") -> Iterator[str]:
        """The answer in pieces as the server sends them. A try that fails is only repeated before the first piece."""
        options = {"max_tokens": max_new_tokens, "stream": True, **({"stop": [stop]} if stop else {})}
        request = self._request(prompt, **options)
        answer = self._tried(lambda: self._client.chat.completions.create(**request), whole=False)
        written = sent = ""
        try:
            for piece in self._pieces(answer):
                written = (written + piece)[:LONGEST]
                before, found, _ = written.partition(stop) if stop else (written, "", "")
                # What could be the beginning of the stop waits for what follows it.
                ready = before if found else before[: len(before) - _begun(before, stop)]
                if ready[len(sent) :]:
                    yield ready[len(sent) :]
                    sent = ready
                if found or len(written) == LONGEST:
                    self.breaker.succeeded()
                    return
            if written[len(sent) :]:
                yield written[len(sent) :]
        except GeneratorExit:  # whoever asked has enough of it; the server did answer
            self.breaker.succeeded()
            raise
        finally:
            answer.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _pieces(self, answer: Any) -> Iterator[str]:
        finished = False
        try:
            for event in answer:
                if getattr(event, "choices", None):
                    finished = finished or event.choices[0].finish_reason is not None
                    yield str(event.choices[0].delta.content or "")
        except Exception as e:  # whatever a stranger's bytes make the client raise
            self._note(e)
            raise self._error(e) from e
        if not finished:
            self.breaker.failed()
            raise LanguageModelError(f"{self.name}: the server broke off in the middle of its answer")
        self.breaker.succeeded()

    def _choice(self, prompt: Prompt, choices: Sequence[Prompt]) -> str:
        texts = [choice.text(slots="drop") for choice in choices]
        if not texts:
            raise PromptError("a prompt with an empty list of choices has no answer; give it one or more")
        if len({*texts}) == 1:
            return texts[0]
        answers = {"answer": {"type": "string", "enum": list(dict.fromkeys(texts))}}
        schema = {"type": "object", "properties": answers, "required": ["answer"], "additionalProperties": False}
        form = {"type": "json_schema", "json_schema": {"name": "choice", "strict": True, "schema": schema}}
        request = self._request(prompt, max_tokens=_CHOICE_TOKENS, response_format=form)

        def ask() -> str:
            told = self._client.chat.completions.create(**request).choices[0].message.content or ""
            answer = json.loads(told[:LONGEST])["answer"]
            if answer not in texts:
                raise ValueError("its answer is none of the choices")
            return str(answer)

        return self._tried(ask)

    def _log_probability(self, head: str, whole: str) -> float:
        request = {"model": self.name, "prompt": whole, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
        told = self._tried(lambda: self._client.completions.create(**request).choices[0].logprobs)
        starts, values = getattr(told, "text_offset", None), getattr(told, "token_logprobs", None)
        if not isinstance(starts, list) or not isinstance(values, list) or len(starts) != len(values) or not starts:
            raise LanguageModelError(f"{self.name}: its server does not tell the log-probabilities of a text")
        inside = [v for at, v in zip(starts, values, strict=True) if len(head) <= at < len(whole) and v is not None]
        return min(0.0, float(sum(inside)))

    def _request(self, prompt: Prompt, **options: Any) -> dict[str, Any]:
        said = [{"role": "user", "content": _text(prompt)}]
        return {"model": self.name, "messages": said, "temperature": 0, **options}

    def _each(self, ask: Callable[[Any], T], asked: Sequence[Any]) -> list[T]:
        with ThreadPoolExecutor(self._parallel) as pool:
            return list(pool.map(ask, asked))

    def _tried(self, ask: Callable[[], T], *, whole: bool = True) -> T:
        """What the server answers, ``whole`` or to be read on, at the first try or a later one."""
        for left in range(self.retries, -1, -1):
            self.breaker.require_closed()
            try:
                answer = ask()
            except Exception as e:  # whatever a stranger's bytes make the client raise
                self._note(e)
                if left == 0 or not self._may_pass(e):
                    raise self._error(e) from e
            else:
                if whole:
                    self.breaker.succeeded()
                return answer
        raise LanguageModelError(f"{self.name} was not asked; retries must not be negative")

    def _note(self, error: Exception) -> None:
        self.breaker.failed(stalled=isinstance(error, self._stall))

    def _may_pass(self, error: Exception) -> bool:
        """Whether the same question may be answered next time; not if it was refused (4xx) or waited for."""
        status = getattr(error, "status_code", None)
        return not isinstance(error, self._stall) and (status is None or status >= 500 or status == 429)

    def _error(self, error: Exception) -> LanguageModelError:
        return LanguageModelError(f"{self.name} did not answer: {type(error).__name__}: {str(error)[:200]}")


def _text(prompt: Prompt) -> str:
    """The prompt as text, foreign parts without the characters that templates are made of."""
    if prompt.slots:
        raise LanguageModelError("a remote language model takes no vectors; use without_slots()")
    return "".join(part if isinstance(part, str) else part.text.translate(_STRUCTURE) for part in prompt.parts)  # type: ignore[union-attr]


def _begun(text: str, stop: str) -> int:
    return next((n for n in range(min(len(stop), len(text)), 0, -1) if text.endswith(stop[:n])), 0)
