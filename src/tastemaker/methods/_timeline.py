"""LLaRA's default reading: a user's items as one causal prompt in which every position names the next item.

One pass over a timeline of twenty films answers twenty questions, some six tokens each with titles and one without,
where the paper's prompt spends two hundred and more on one.
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
from tastemaker.llm.encoding import Encoded
from tastemaker.llm.projector import ItemHead, Projector
from tastemaker.prompts.prompt import ItemSlot, Prompt
from tastemaker.tuning.stages import Group, Stage
from tastemaker.tuning.timeline import Packer, Timeline, shuffled_ties
from tastemaker.types import FloatArray, Item, Progress, Query, quiet

if TYPE_CHECKING:
    from tastemaker.methods.llara import LLaRA


class TimelineReading:
    """Scores the whole catalogue from the hidden state at the last item of a history."""

    def __init__(self, method: LLaRA, counts: np.ndarray[Any, Any]) -> None:
        self.method = method
        vectors, hidden = method.collab.item_vectors, method.llm.hidden_size
        generator = torch.Generator().manual_seed(method.seed)
        rms = method.llm.embedding_rms
        self.projector = Projector(vectors, hidden, scale=rms, rms=rms, generator=generator).to(method.llm.device)
        self.head = ItemHead(vectors, counts, hidden).to(method.llm.device)
        self.packers = {content: self._packer(content) for content in ("behaviour", method.config.content)}

    def modules(self) -> dict[str, torch.nn.Module]:
        """What trains beside the adapters."""
        return {"projector": self.projector, "head": self.head}

    def stages(self, split: Split, adapters: Group) -> list[Stage]:
        """First without titles, one position an item: quick. Then, unless that was all, with them."""
        config = self.method.config
        plan = [("behaviour", config.behaviour_epochs)] if config.content == "hybrid" else []
        return [self._stage(split, adapters, *part) for part in [*plan, (config.content, config.epochs)] if part[1] > 0]

    @torch.no_grad()
    def score(self, queries: Sequence[Query], progress: Progress = quiet) -> FloatArray:
        """``[query, item]`` log-probabilities of the next item; queries without history get the head's own order."""
        return self._score(queries, self.method.config.content, progress)

    def _score(self, queries: Sequence[Query], content: str, progress: Progress = quiet) -> FloatArray:
        lm, packer = self.method.llm, self.packers[content]
        encoded = [packer.latest(query.history[-self.method.config.history :]) for query in queries]
        scores = np.empty((len(queries), len(packer.pieces)), dtype=np.float32)
        self.head.eval()
        done = 0
        with lm.answering(self._filler(content)):
            for group in scoring.batches([len(one) for one in encoded], scoring.budget(lm)):
                batch = [encoded[i] for i in group]
                states = lm.hidden(batch)[torch.arange(len(batch)), torch.tensor([len(one) - 1 for one in batch])]
                scores[group] = functional.log_softmax(self.head(states), dim=-1).cpu().numpy()
                done += len(group)
                progress("scoring", done, len(queries))
        return scores

    def _stage(self, split: Split, adapters: Group, content: str, epochs: float) -> Stage:
        method, packer = self.method, self.packers[content]
        config = method.config
        rows = max(1, config.batch_positions // packer.budget)
        per_epoch = sum(1 for _ in self._grouped(list(packer.timelines(split.sequences, np.random.default_rng(0))), rows))

        def epoch(rng: np.random.Generator) -> list[list[Timeline]]:
            return self._grouped(self._shuffled(list(packer.timelines(_sequences(split, rng), rng)), rng), rows)

        def loss(batch: list[Timeline], share: float) -> Tensor:
            self.projector.hybrid = method.hybrid(share) and content != "text"
            return self._loss(batch, content)

        sample = method.sample(split.valid)
        return Stage(
            name=content if content == config.content else f"{content}-first",
            steps=max(1, round(per_epoch * epochs)),
            epoch=epoch,
            loss=loss,
            groups={
                "adapters": adapters,
                **{
                    name: Group(dict(module.named_parameters()), config.head_learning_rate, 0.01)
                    for name, module in self.modules().items()
                },
            },
            validate=(lambda: method.hit_rate(self._score([c.query for c in sample], content), sample)) if sample else None,
            validate_every=config.validate_every,
            average=config.average,
            facts=method.facts(split),
        )

    def _loss(self, batch: list[Timeline], content: str) -> Tensor:
        """Cross-entropy of the next item over the whole catalogue, the mean over all positions that know theirs."""
        lm = self.method.llm
        lm.filler = self._filler(content, keep=True)
        states = lm.hidden([one.encoded for one in batch])
        rows = torch.tensor([r for r, one in enumerate(batch) for _ in one.reads])
        reads = torch.tensor([p for one in batch for p in one.reads])
        targets = torch.from_numpy(np.concatenate([one.targets for one in batch])).long().to(states.device)
        self.head.train()
        logits = self.head(states[rows, reads], dropout=self.method.config.dropout)
        return functional.cross_entropy(logits, targets)

    def _filler(self, content: str, *, keep: bool = False) -> Projector:
        if not keep:
            self.projector.hybrid = content not in ("text", "index")
        return self.projector

    def _packer(self, content: str) -> Packer:
        lm, method = self.method.llm, self.method
        head = lm.encode(Prompt.of(method.opening))
        pieces: list[Encoded] = []
        for item in map(Item, range(method.catalogue.n_items)):
            text = () if content == "behaviour" else (" ", method.item_part(item, content))
            pieces.append(lm.encode(Prompt.of(*text, ItemSlot(item)), start=False))
        # Without titles an item takes one position, and more of them than this in a row teach little more.
        return Packer(head, pieces, method.config.positions if content != "behaviour" else method.config.positions // 2)

    def _shuffled(self, timelines: list[Timeline], rng: np.random.Generator) -> list[Timeline]:
        return [timelines[i] for i in rng.permutation(len(timelines))]

    def _grouped(self, timelines: list[Timeline], rows: int) -> list[list[Timeline]]:
        return [timelines[i : i + rows] for i in range(0, len(timelines), rows)]


def _sequences(split: Split, rng: np.random.Generator) -> list[np.ndarray[Any, np.dtype[np.int32]]]:
    rows = split.train.group_by("user", maintain_order=True).agg("item", "time")
    return [
        shuffled_ties(np.asarray(items, dtype=np.int32), times.to_list(), rng)
        for items, times in zip(rows["item"], rows["time"], strict=True)
    ]



