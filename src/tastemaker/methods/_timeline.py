"""LLaRA's default reading: a user's items as one causal prompt in which every position names the next item.

An item is one slot. What its title says is read once per catalogue, by the same language model, and joins the
behaviour vector in the slot; so a pass over sixty items answers sixty questions at one position each, where the
paper's prompt spends some 250 on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tastemaker.data.split import Split
from tastemaker.llm import scoring
from tastemaker.llm.projector import ItemHead, Projector
from tastemaker.llm.texts import text_vectors
from tastemaker.prompts.prompt import ItemSlot, Prompt
from tastemaker.tuning.stages import Group, Stage
from tastemaker.tuning.timeline import Packer, Timeline, shuffled_ties
from tastemaker.types import FloatArray, Item, Progress, Query, quiet

if TYPE_CHECKING:
    from tastemaker.methods.llara import LLaRA


class TimelineReading:
    """Scores the whole catalogue from the hidden state at the last item of a history."""

    def __init__(self, method: LLaRA, texts: FloatArray | None) -> None:
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
    def texts_of(method: LLaRA) -> FloatArray | None:
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
        steps = -(-sum(1 for _ in self.packer.timelines(split.sequences, np.random.default_rng(0))) // rows)

        def epoch(rng: np.random.Generator) -> list[list[Timeline]]:
            timelines = list(self.packer.timelines(_sequences(split, rng), rng))
            shuffled = [timelines[i] for i in rng.permutation(len(timelines))]
            return [shuffled[i : i + rows] for i in range(0, len(shuffled), rows)]

        def loss(batch: list[Timeline], share: float) -> Tensor:
            self.projector.hybrid = self.method.hybrid(share)
            return self._loss(batch)

        own = {
            name: Group(dict(module.named_parameters()), config.head_learning_rate, 0.01)
            for name, module in self.modules().items()
        }
        sample = self.method.sample(split.valid)
        return [
            Stage(
                name=f"timeline-{config.content}",
                steps=round(steps * config.epochs / config.accumulate),
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

    @torch.no_grad()
    def score(self, queries: Sequence[Query], progress: Progress = quiet) -> FloatArray:
        """``[query, item]`` log-probabilities of the next item; without history, those at the opening words."""
        lm, packer = self.method.llm, self.packer
        encoded = [packer.latest(query.history[-self.method.config.history :]) for query in queries]
        scores = np.empty((len(queries), len(packer.pieces)), dtype=np.float32)
        self.head.eval()
        self.projector.hybrid = self.method.shows_vectors
        done = 0
        with lm.answering(self.projector):
            for group in scoring.batches([len(one) for one in encoded], scoring.budget(lm)):
                batch = [encoded[i] for i in group]
                states = lm.hidden(batch)[torch.arange(len(batch)), torch.tensor([len(one) - 1 for one in batch])]
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
