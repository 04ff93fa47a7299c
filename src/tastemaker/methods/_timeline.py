"""What methods read by default: a user's items as one causal prompt in which every position names the next item.

An item is one slot. What its title says is read once per catalogue, by the same language model, and joins the
behaviour vector in the slot; so a pass over sixty items answers sixty questions at one position each, where the
paper's prompt spends some 250 on one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tastemaker.collab.base import CollaborativeModel
from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Case, Split
from tastemaker.llm import scoring
from tastemaker.llm.encoding import Encoded
from tastemaker.llm.local import LocalLM
from tastemaker.llm.projector import ItemHead, Projector
from tastemaker.llm.texts import text_vectors
from tastemaker.methods._tuned import TunedConfig, sampled
from tastemaker.prompts.prompt import Item as ItemText
from tastemaker.prompts.prompt import ItemSlot, Prompt
from tastemaker.tuning.stages import Group, Stage
from tastemaker.tuning.timeline import Packer, Timeline, shuffled_ties
from tastemaker.types import FloatArray, IntArray, Item, Progress, Query, quiet


class TimelineConfig(TunedConfig):
    """Settings of the methods that read timelines, which are tuned to their end, whatever ``max_steps``."""

    content: str = "behaviour"
    """What stands for an item; each method says which words it knows."""
    fusion: bool = True
    """Whether the collaborative model has a say in what a timeline scores, weighed on validation."""
    history: int = Field(50, ge=1)
    """Older items are not read."""
    positions: int = Field(64, ge=16)
    """Most positions of a timeline."""
    text_size: int = Field(64, ge=1)
    """Width of the vectors that hold what titles say."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """On the states the item head reads."""
    head_learning_rate: float = Field(2e-3, gt=0)
    """Of projector and item head."""
    batch_positions: int = Field(2048, ge=64)
    """Positions in a micro-batch of timelines."""
    validate_cases: int = Field(500, ge=1)
    """At most so many validation cases are asked each time, the same ones."""


class TimelineMethod(Protocol):
    """What a timeline needs of the method that reads by it."""

    catalogue: Dataset
    seed: int

    @property
    def config(self) -> TimelineConfig: ...
    @property
    def collab(self) -> CollaborativeModel: ...
    @property
    def llm(self) -> LocalLM: ...
    @property
    def opening(self) -> str:
        """The first words of a timeline."""

    @property
    def shows_vectors(self) -> bool:
        """Whether slots hold behaviour vectors once training is over."""

    def described(self, item: Item) -> ItemText:
        """What is read of an item's text."""

    def hybrid(self, share: float) -> bool:
        """Whether the batch at this share of training shows vectors."""

    def hit_rate(self, scores: FloatArray, cases: Sequence[Case]) -> float:
        """How good scores over the catalogue are: what validation goes by."""

    def facts(self, split: Split) -> dict[str, object]:
        """What must be the same for a stopped run to go on."""


class TimelineReading:
    """Scores the whole catalogue from the hidden state at the last item of a history."""

    def __init__(self, method: TimelineMethod, texts: FloatArray | None) -> None:
        """``texts``: what `texts_of` gave when the method was tuned; None without titles."""
        self.method = method
        lm, config = method.llm, method.config
        generator = torch.Generator().manual_seed(method.seed)
        behaviour = method.collab.item_vectors
        if config.content == "index":
            behaviour = torch.randn(behaviour.shape, generator=generator).numpy()
        self.projector = Projector(
            behaviour, lm.hidden_size, scale=lm.embedding_rms, rms=lm.embedding_rms, generator=generator, texts=texts
        ).to(lm.device)
        shown = [table for table, name in ((behaviour, "text"), (texts, "behaviour")) if name != config.content]
        tables = [table for table in shown if table is not None]
        self.head = ItemHead(tables, method.collab.item_counts, lm.hidden_size).to(lm.device)
        slots = [lm.encode(Prompt.of(ItemSlot(Item(item))), start=False) for item in range(method.catalogue.n_items)]
        self.packer = Packer(lm.encode(Prompt.of(method.opening)), slots, config.positions)

    @staticmethod
    def texts_of(method: TimelineMethod) -> FloatArray | None:
        """``[item, e]`` vectors of the items' texts, where the content shows them."""
        if method.config.content in ("behaviour", "index"):
            return None
        prompts = [Prompt.of(method.described(Item(item))) for item in range(method.catalogue.n_items)]
        return text_vectors(method.llm, prompts, method.config.text_size)

    def modules(self) -> dict[str, torch.nn.Module]:
        """What trains beside the adapters."""
        return {"projector": self.projector, "head": self.head}

    def stages(self, split: Split, adapters: Group) -> list[Stage]:
        """One stage over all users' timelines."""
        config = self.method.config
        rows = max(1, config.batch_positions // config.positions)
        first = self.packer.timelines(self.chosen(split.sequences), np.random.default_rng(0))
        steps = -(-sum(1 for _ in first) // rows)

        def epoch(rng: np.random.Generator) -> list[list[Timeline]]:
            timelines = list(self.timelines(self.chosen(_sequences(split, rng)), rng))
            shuffled = [timelines[i] for i in rng.permutation(len(timelines))]
            return [shuffled[i : i + rows] for i in range(0, len(shuffled), rows)]

        def loss(batch: list[Timeline], share: float) -> Tensor:
            self.projector.hybrid = self.method.hybrid(share)
            return self._loss(batch)

        own = {
            name: Group(dict(module.named_parameters()), config.head_learning_rate, 0.01)
            for name, module in self.modules().items()
        }
        sample = sampled(split.valid, config.validate_cases)
        return [
            Stage(
                name=f"timeline-{config.content}",
                steps=round(steps * config.epochs / config.per_step),
                epoch=epoch,
                loss=loss,
                groups={"adapters": adapters, **own},
                accumulate=config.accumulate,
                validate=(lambda: self.method.hit_rate(self.score([c.query for c in sample]), sample))
                if sample
                else None,
                validate_every=config.validate_every,
                average=config.average,
                facts=self.method.facts(split),
            )
        ]

    def chosen(self, sequences: Sequence[IntArray]) -> Sequence[IntArray]:
        """The users' sequences that are trained on: all of them."""
        return sequences

    def timelines(self, sequences: Sequence[IntArray], rng: np.random.Generator) -> Iterator[Timeline]:
        """The sequences as they are read in training."""
        return self.packer.timelines(sequences, rng)

    def asked(self, query: Query) -> tuple[Encoded, list[int]]:
        """A query as it is read, and the positions that answer."""
        encoded = self.packer.latest(query.history[-self.method.config.history :])
        return encoded, [len(encoded) - 1]

    def score(self, queries: Sequence[Query], progress: Progress = quiet) -> FloatArray:
        """``[query, item]`` log-probabilities of the next item; without history, those at the opening words."""
        return self.answers(queries, progress)[:, -1]

    @torch.no_grad()
    def answers(self, queries: Sequence[Query], progress: Progress = quiet) -> FloatArray:
        """``[query, read, item]`` log-probabilities at each of the positions that answer."""
        lm = self.method.llm
        asked = [self.asked(query) for query in queries]
        encoded, reads = [one for one, _ in asked], [positions for _, positions in asked]
        n_reads = len(reads[0]) if reads else 1
        scores = np.empty((len(queries), n_reads, len(self.packer.pieces)), dtype=np.float32)
        self.head.eval()
        self.projector.hybrid = self.method.shows_vectors
        done = 0
        with lm.answering(self.projector):
            for group in scoring.batches([len(one) for one in encoded], scoring.budget(lm)):
                batch = [encoded[i] for i in group]
                states = lm.hidden(batch)[torch.arange(len(batch))[:, None], torch.tensor([reads[i] for i in group])]
                scores[group] = functional.log_softmax(self.head(states), dim=-1).cpu().numpy()
                done += len(group)
                progress("scoring", done, len(queries))
        return scores

    def _loss(self, batch: list[Timeline]) -> Tensor:
        """Cross-entropy of the next item over the whole catalogue, the mean over all positions that know theirs."""
        lm = self.method.llm
        lm.filler = self.projector
        lm.model.train()  # for the adapters' dropout
        states = lm.hidden([one.encoded for one in batch])
        rows = torch.tensor([r for r, one in enumerate(batch) for _ in one.reads])
        reads = torch.tensor([p for one in batch for p in one.reads])
        targets = torch.from_numpy(np.concatenate([one.targets for one in batch])).long().to(states.device)
        self.head.train()
        logits = self.head(states[rows, reads], dropout=self.method.config.dropout)
        return functional.cross_entropy(logits, targets)


def _sequences(split: Split, rng: np.random.Generator) -> list[np.ndarray[Any, np.dtype[np.int32]]]:
    rows = split.train.group_by("user", maintain_order=True).agg("item", "time")
    return [
        shuffled_ties(np.asarray(items, dtype=np.int32), times.to_list(), rng)
        for items, times in zip(rows["item"], rows["time"], strict=True)
    ]
