"""Two words -> the tokens a language model answers yes/no questions with."""

from __future__ import annotations

import torch
from torch import Tensor

from tastemaker.errors import ConfigError
from tastemaker.llm.local import LocalLM
from tastemaker.prompts.prompt import Prompt


def answer_tokens(lm: LocalLM, words: tuple[str, str]) -> tuple[int, int]:
    """The first token of each word, as it reads where a prompt has stopped. Raises `ConfigError` if they are one."""
    encoded = [lm.encode(Prompt.of(word), start=False).ids for word in words]
    if not all(encoded) or encoded[0][0] == encoded[1][0]:
        raise ConfigError(
            f"{lm.name}: the answers {words[0]!r} and {words[1]!r} begin with the same token; set other answers"
        )
    return encoded[0][0], encoded[1][0]


def margin(lm: LocalLM, states: Tensor, tokens: tuple[int, int]) -> Tensor:
    """``[...]``: the log-odds of the first answer against the second, after states ``[..., hidden]``."""
    logits = lm.logits(states, torch.tensor(tokens, device=states.device))
    return logits[..., 0] - logits[..., 1]
