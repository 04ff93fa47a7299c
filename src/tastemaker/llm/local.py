"""A directory of weights -> a language model in this process: scores, text, hidden states and gradients."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, Cache

from tastemaker import memory, processes
from tastemaker.errors import LanguageModelError, PromptError
from tastemaker.llm import decoding, fused, scoring, zoo
from tastemaker.llm.adapters import FastLinear, merged, refresh
from tastemaker.llm.base import LanguageModel, aligned
from tastemaker.llm.encoding import Encoded, Encoder
from tastemaker.llm.slots import SlotFiller, fill
from tastemaker.prompts.prompt import Prompt
from tastemaker.types import FloatArray, Progress, quiet

_MARK = "\ue000"  # in no prompt: cleaning takes private characters out
Side = Literal["left", "right"]
DType = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """A batch of encoded prompts as the model takes them, padded to one length."""

    embeddings: Tensor
    """[row, position, hidden], slots filled."""
    mask: Tensor
    """[row, position], True where there is a token and not padding."""
    positions: Tensor
    """[row, position], counted from each row's first token."""


class LocalLM(LanguageModel):
    """Any causal language model of transformers, frozen until adapters are attached to it.

    ``LocalLM.load("smollm2-135m")``. `adapters` attaches LoRA matrices and `scoring` gives log-probabilities and
    hidden states with gradients; ``filler`` turns slots into vectors.
    """

    model: Any
    """The ``AutoModelForCausalLM``."""
    body: Any
    """Its transformer, without the head."""
    filler: SlotFiller | None = None
    adapted: Sequence[FastLinear] = ()
    """The layers with LoRA matrices that run as one."""

    def __init__(self, model: Any, tokenizer: Any, *, name: str, fingerprint: str) -> None:
        self.model, self.tokenizer, self.name, self.fingerprint = model.eval(), tokenizer, name, fingerprint
        model.requires_grad_(False)
        self.body = model.get_decoder()
        self.depth = int(self.config.num_hidden_layers)
        """Layers it came with."""
        self.encode = Encoder(tokenizer)
        """`Encoder`: ``lm.encode(prompt)``, and with ``start=False`` for continuations."""
        self._takes_positions = "position_ids" in inspect.signature(self.body.forward).parameters
        self.branches = bool(
            self._takes_positions and model._supports_sdpa and not getattr(self.config, "alibi", False)
        )
        """Whether continuations can share a row: it attends, and to positions it is told."""
        self._require_linear_head()

    @classmethod
    def load(
        cls, name_or_path: str | Path, *, dtype: DType = "auto", device: str = "auto", progress: Progress = quiet
    ) -> Self:
        """The model of that name or in that directory; ``auto`` takes the best device and its fastest numbers.

        Raises `UnknownNameError`, `DataError` for a directory without a model, `SourceError` if it cannot be fetched,
        `LanguageModelError` if it cannot be read.
        """
        memory.reuse()
        path = zoo.resolve(str(name_or_path), progress)
        place = torch.device(best_device() if device == "auto" else device)
        numbers = fastest(place) if dtype == "auto" else getattr(torch, dtype)
        model, tokenizer = _read(path, numbers)
        if place.type == "cpu":
            fused.install(model)
        # A directory by its whole path: what is tuned on it and saved is found from any other directory.
        name = str(path.resolve()) if Path(name_or_path).expanduser().is_dir() else str(name_or_path)
        return cls(model.to(place), tokenizer, name=name, fingerprint=zoo.fingerprint(path))

    @property
    def device(self) -> torch.device:
        """Where the embeddings are, and so where inputs go."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The numbers it computes with."""
        dtype: torch.dtype = self.model.get_input_embeddings().weight.dtype
        return dtype

    @property
    def number_format(self) -> str:
        """The name of these, as ``float32``: chosen by what the machine is fastest with, so a run is bound to it."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def hidden_size(self) -> int:
        """Width of embeddings, slot vectors and hidden states."""
        return int(self.model.get_input_embeddings().weight.shape[1])

    @property
    def context(self) -> int | None:
        """Most positions it was made for, if it says so."""
        return getattr(self.config, "max_position_embeddings", None)

    @property
    def config(self) -> Any:
        """The part of the model's configuration that is about text."""
        return self.model.config.get_text_config()

    @cached_property
    def embedding_rms(self) -> float:
        """Root mean square of the entries of its token embeddings: the scale slot vectors should have."""
        embed = self.model.get_input_embeddings()
        with torch.no_grad():
            chunks = torch.split(torch.arange(embed.weight.shape[0], device=self.device), 8192)
            total = sum(float(embed(ids).float().square().sum()) for ids in chunks)
        return float((total / embed.weight.numel()) ** 0.5)

    def length(self, prompt: Prompt) -> int:
        """How many positions the prompt takes: the ``measure`` of `prompts.fit`."""
        return len(self.encode(prompt))

    def require_room(self, positions: int) -> None:
        """Nothing, if the model can hold so many positions; else `PromptError`."""
        if self.context is not None and positions > self.context:
            raise PromptError(
                f"{positions} positions do not fit into the {self.context} of {self.name}; "
                "shorten what it reads, or take a model with more"
            )

    def inputs(
        self, batch: Sequence[Encoded], *, side: Side = "right", positions: Sequence[Sequence[int]] | None = None
    ) -> Inputs:
        """The batch as embeddings, slots filled, padded on one side; ``positions`` where they are not 0, 1, 2 ...

        Raises `PromptError` if slots cannot be filled, or if there is no room.
        """
        width = max(map(len, batch), default=0)
        self.require_room(width if positions is None else 1 + max(max(row, default=0) for row in positions))
        starts = [width - len(one) if side == "left" else 0 for one in batch]
        pad, rows = self.encode.placeholder, []
        for one, start in zip(batch, starts, strict=True):
            rows.append([pad] * start + one.ids + [pad] * (width - start - len(one)))
        places = [(r, starts[r] + p, slot) for r, one in enumerate(batch) for p, slot in one.slots]
        embeddings = self.model.get_input_embeddings()(torch.tensor(rows, dtype=torch.long, device=self.device))
        first = torch.tensor(starts, device=self.device)[:, None]
        sizes = torch.tensor([len(one) for one in batch], device=self.device)[:, None]
        counted = torch.arange(width, device=self.device) - first
        mask = (counted >= 0) & (counted < sizes)
        where = counted.clamp(min=0)
        if positions is not None:
            where[mask] = torch.tensor([p for row in positions for p in row], device=self.device)
        return Inputs(fill(embeddings, places, self.filler), mask, where)

    def hidden(self, batch: Sequence[Encoded], *, side: Side = "right") -> Tensor:
        """Last hidden states, [row, position, hidden], as the head reads them; padding positions mean nothing."""
        inputs = self.inputs(batch, side=side)
        # Causal order alone keeps padding on the right out of sight, and attention without a mask is quicker.
        return self.run(inputs, inputs.mask if side == "left" else None)

    def run(self, inputs: Inputs, mask: Tensor | None, cache: Cache | None = None) -> Tensor:
        """Last hidden states under a mask: None for causal order, [row, position], or [row, 1, query, key] to add.

        What a ``cache`` holds is seen as well, and the keys and values of the inputs are added to it.
        """
        kept = {"past_key_values": cache, "use_cache": cache is not None}
        states: Tensor = self.step(inputs.embeddings, mask, inputs.positions, **kept).last_hidden_state
        return states

    def step(self, embeddings: Tensor, mask: Tensor | None, positions: Tensor, **options: Any) -> Any:
        """The body's own output, for callers that keep a cache."""
        refresh(self)
        if self._takes_positions:
            options["position_ids"] = positions
        mask = mask.long() if mask is not None and mask.ndim == 2 else mask
        return self.body(inputs_embeds=embeddings, attention_mask=mask, **options)

    def logits(self, hidden: Tensor, tokens: Tensor | None = None) -> Tensor:
        """fp32 logits [..., token] of hidden states [..., hidden]: all of them, or those of the given tokens only.

        Given tokens are multiplied in fp32, all others in the model's own numbers.
        """
        head = self.model.get_output_embeddings()
        if tokens is None:
            found = functional.linear(hidden, head.weight, head.bias).float()
        else:
            bias = None if head.bias is None else head.bias[tokens].float()
            found = functional.linear(hidden.float(), head.weight[tokens].float(), bias)
        return self.shaped(found)

    def shaped(self, logits: Tensor) -> Tensor:
        """Logits after what some families do to them behind the head: a scale, a soft cap."""
        config = self.config
        scale = (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
        logits = logits if scale == 1 else logits * scale
        cap = getattr(config, "final_logit_softcapping", None)
        return cap * torch.tanh(logits / cap) if cap else logits

    def score(self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[Prompt]]) -> list[FloatArray]:
        """For each prompt, the log-probability of each of its continuations; slots in either are read, not scored."""
        aligned(prompts, continuations, "continuations")
        heads = [self.encode(prompt) for prompt in prompts]
        branches = [[self.encode(one, start=False) for one in several] for several in continuations]
        with self.answering():
            found = scoring.log_probabilities(self, heads, branches)
        return [scores.cpu().numpy() for scores in found]

    def next_logits(self, prompts: Sequence[Prompt], tokens: Sequence[int]) -> FloatArray:
        """Logits of the given token ids as the next token, [prompt, token]; only their rows of the head are read."""
        with self.answering():
            found: FloatArray = scoring.next_logits(self, [self.encode(p) for p in prompts], tokens).cpu().numpy()
        return found

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        choices: Sequence[Sequence[Prompt]] | None = None,
        max_new_tokens: int = 64,
        stop: str = "\n",
    ) -> list[str]:
        """Greedy text per prompt, cut before ``stop``; with ``choices``, exactly one of that prompt's choices.

        A choice is written token by token, then ``stop``: ending a title costs what the model thinks of ending it.
        """
        if choices is not None:
            aligned(prompts, choices, "choices")
        heads = [self.encode(prompt) for prompt in prompts]
        with self.answering():
            if choices is not None:
                return decoding.choose(self, heads, choices, stop)
            return decoding.write(self, heads, max_new_tokens, stop)

    def stream(self, prompt: Prompt, *, max_new_tokens: int = 64, stop: str = "\n") -> Iterator[str]:
        """The text `generate` would give, token by token."""
        self.model.eval()
        with merged(self):
            yield from decoding.stream(self, self.encode(prompt), max_new_tokens, stop)

    def asked(self, prompt: Prompt) -> Prompt:
        """The prompt in the tokenizer's chat template, ready for the answer; as it is, if there is no template."""
        before, _, after = self._turn.partition(_MARK)
        return Prompt.of(before, prompt, after) if after else prompt

    @cached_property
    def _turn(self) -> str:
        """Somebody's turn that says `_MARK`, and the beginning of an answer; empty without a template."""
        if not getattr(self.tokenizer, "chat_template", None):
            return ""
        said = [{"role": "user", "content": _MARK}]
        text: str = self.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        return text.removeprefix(self.encode.decode_all(self.encode.opening))

    def generate_lists(
        self, prompts: Sequence[Prompt], choices: Sequence[Sequence[Prompt]], *, n: int, stop: str = "\n"
    ) -> list[list[int]]:
        """As every model, but in one pass: what is written is never read again."""
        aligned(prompts, choices, "choices")
        heads = [self.encode(prompt) for prompt in prompts]
        with self.answering():
            return decoding.choose_lists(self, heads, choices, n, stop)

    def keep_layers(self, layers: int) -> None:
        """Drop all but the lowest ``layers`` of the body, for good: states from half way up serve for half the cost.

        Raises `LanguageModelError` if its layers are not a list that can be cut.
        """
        stack = getattr(self.body, "layers", None)
        if not isinstance(stack, torch.nn.ModuleList):
            raise LanguageModelError(f"{self.name}: its layers cannot be cut; set layers to null")
        self.body.layers = stack[:layers]
        self.config.num_hidden_layers = len(self.body.layers)

    def compile(self) -> None:
        """Have `torch.compile` work on every layer, for all lengths at once; the first pass takes some ten seconds.

        The same numbers within rounding. Needs a C++ compiler where there is no GPU. `tastemaker bench` says whether it
        pays on a machine: on the one in `RESULTS.md` it does not, over what `fused` does already.
        """
        for layer in self.body.layers:
            layer.compile(dynamic=True)

    @contextlib.contextmanager
    def answering(self, filler: SlotFiller | None = None) -> Iterator[None]:
        """No gradients, no dropout, adapters merged, slots filled by ``filler`` if one is given; then as before."""
        training, before = self.model.training, self.filler
        self.model.eval()
        self.filler = before if filler is None else filler
        try:
            with torch.no_grad(), merged(self):
                yield
        finally:
            self.model.train(training)
            self.filler = before

    def _require_linear_head(self) -> None:
        ids = torch.arange(1, 5, device=self.device)[None]
        with torch.no_grad():
            whole = self.model(input_ids=ids, use_cache=False).logits.float()
            parts = self.logits(self.body(input_ids=ids, use_cache=False).last_hidden_state)
        if whole.shape != parts.shape or not torch.allclose(whole, parts, rtol=1e-2, atol=1e-2, equal_nan=True):
            raise LanguageModelError(f"{self.name}: its logits are not a linear layer over its hidden states")


def _read(path: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """Model and tokenizer, every weight of it from the files: safetensors only, and no code."""
    options = {"dtype": dtype, "use_safetensors": True, "local_files_only": True, "output_loading_info": True}
    try:
        with zoo.silenced():
            tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
            model, told = AutoModelForCausalLM.from_pretrained(path, **options)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as e:
        raise LanguageModelError(f"{path}: is not a causal language model that can be read: {e}") from e
    if missing := sorted(told["missing_keys"]):
        raise LanguageModelError(f"{path}: lacks the weights {missing[0]} and {len(missing) - 1} more")
    return model, tokenizer


def best_device() -> str:
    """Where models run if nobody says where: a GPU if there is one, and of several processes on its own."""
    if torch.cuda.is_available():
        return "cuda" if processes.count() == 1 else f"cuda:{processes.local_index() % torch.cuda.device_count()}"
    return "mps" if processes.count() == 1 and torch.backends.mps.is_available() else "cpu"


@cache
def fastest(device: torch.device) -> torch.dtype:
    """bfloat16 where it multiplies clearly faster than float32, as measured here and now in some 50 ms."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, w = torch.ones(256, 1024, dtype=dtype, device=device), torch.ones(1024, 1024, dtype=dtype, device=device)
        tries = []
        for _ in range(8):
            start = time.perf_counter()
            float((x @ w)[0, 0])  # reading a number waits for the device
            tries.append(time.perf_counter() - start)
        seconds[dtype] = min(tries)
    return torch.bfloat16 if seconds[torch.bfloat16] < 0.8 * seconds[torch.float32] else torch.float32
