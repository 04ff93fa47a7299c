"""CoLLM's default reading: a user's items as one causal sequence in which each is asked about where it stands.

An item is one slot: what its title says, the encoder's vector and how often it was liked in training. The state at
the slot answers, as the log-odds of Yes against No by the language model's own head and a small trained readout; then
the user's answer is shown as one token, where the split shows dislikes. So a row costs one or two positions where a
prompt in words costs some 150. Who a user is, by id, only fusion knows: the sequence is the user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.data.preference import PreferenceSplit, labels
from tastemaker.llm import scoring
from tastemaker.llm.attention import additive
from tastemaker.llm.local import Inputs
from tastemaker.llm.projector import Mapper, standard
from tastemaker.llm.texts import text_vectors
from tastemaker.methods._answers import margin
from tastemaker.methods._vectors import Vectors
from tastemaker.prompts.prompt import Prompt
from tastemaker.tuning.answered import Window, windows
from tastemaker.tuning.stages import Group, Stage
from tastemaker.types import FloatArray, Item, Progress, Query, quiet

if TYPE_CHECKING:
    from tastemaker.methods.collm import CoLLM

FOLDS = 10
"""A training user sees rates without those of every tenth user, their own among them: none tells the answer."""
ALL = FOLDS
"""The fold of those who are asked: rates over all training rows."""
SMOOTHING = 5.0
TEMPLATES = {
    "movie": "Films this person was shown. Will they like each of them? Answer Yes or No.",
    "book": "Books this person was shown. Will they like each of them? Answer Yes or No.",
}


class Batch(NamedTuple):
    """Windows of like length."""

    windows: list[Window]
    folds: list[int]


class Slots(nn.Module):
    """Fills an item's position with what its title says and, where shown, what collaborative filtering knows of it."""

    texts: Tensor
    rates: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self, vectors: Vectors, texts: FloatArray, rates: FloatArray, hidden_size: int, scale: float, dropout: float,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        """``texts``: [item, e]; ``rates``: [fold, item, 3]; ``scale``: of the token embeddings."""
        super().__init__()
        self.scale, self.dropout = scale, dropout
        self.vectors = vectors
        self.register_buffer("texts", standard(texts), persistent=False)
        self.register_buffer("rates", torch.from_numpy(rates), persistent=False)
        rows = vectors.items().detach()[vectors.known]
        self.register_buffer("mean", rows.mean(0), persistent=False)
        self.register_buffer("deviation", rows.std().clamp(min=1e-6), persistent=False)
        self.words = Mapper(texts.shape[1], hidden_size, scale=1.0, generator=generator)
        self.mapper = Mapper(vectors.size + rates.shape[2], hidden_size, scale=1.0, generator=generator)

    def forward(self, items: Tensor, folds: Tensor, *, shown: bool) -> Tensor:
        """``[position, hidden]``; an item the encoder does not know is its title alone."""
        filled = self.words.mapped(self.texts[items])
        if shown:
            found = (self.vectors.items()[items] - self.mean) / self.deviation
            found = torch.cat([found, self.rates[folds, items]], dim=1)
            known = self.vectors.known[items][:, None]
            filled = filled + self.mapper.mapped(functional.dropout(found, self.dropout, self.training)) * known
        return functional.rms_norm(filled, filled.shape[-1:]) * self.scale


class Readout(nn.Module):
    """The language model's own log-odds, scaled, and a linear look at the same state."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.3))
        self.look = nn.Parameter(torch.zeros(hidden_size))
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, states: Tensor, own: Tensor) -> Tensor:
        """``[row, hidden]`` and ``[row]`` -> log-odds ``[row]``."""
        seen = functional.rms_norm(states.float(), states.shape[-1:])
        return self.gain * own + seen @ self.look + self.offset


class AskedReading:
    """Log-odds for every candidate, those of one user in one pass."""

    def __init__(self, method: CoLLM) -> None:
        self.method = method
        lm, config = method.llm, method.config
        generator = torch.Generator().manual_seed(method.seed)
        self.vectors = Vectors(method.encoder, method.learns, generator).to(lm.device)
        self.slots = Slots(
            self.vectors, method.tables["texts"], method.tables["rates"], lm.hidden_size, lm.embedding_rms,
            config.dropout, generator,
        ).to(lm.device)  # fmt: skip
        self.readout = Readout(lm.hidden_size).to(lm.device)
        self.head = lm.encode(Prompt.of(TEMPLATES[config.domain])).ids
        self.tells = method.facts["dislikes"]
        """Whether answers are shown; where all that is told was liked, there is nothing to say."""
        self.step = 2 if self.tells else 1
        lm.require_room(len(self.head) + 2 * self.step)
        room = config.history if lm.context is None else (lm.context - len(self.head)) // (2 * self.step)
        self.block = min(config.history, room)
        """The history that is read: a window tells less than twice as many, as far as the model has room."""

    @staticmethod
    def tables_of(method: CoLLM, split: PreferenceSplit) -> dict[str, FloatArray]:
        """What titles say, ``[item, e]``, and rates by fold, ``[fold, item, 3]``."""
        prompts = [Prompt.of(method.described(Item(item))) for item in range(split.dataset.n_items)]
        return {"texts": text_vectors(method.llm, prompts, method.config.text_size), "rates": rates_of(split)}

    def modules(self) -> dict[str, nn.Module]:
        """What is saved beside the adapters."""
        return {"slots": self.slots, "readout": self.readout}

    def stages(self, split: PreferenceSplit, adapters: Group) -> list[Stage]:
        """The text stage, the collaborative one, or both at once, as the method's ``stage`` says."""
        rate = self.method.config.head_learning_rate
        words = {f"words.{n}": p for n, p in self.slots.words.named_parameters()}
        own = {"words": Group(words, rate, 0.01), "readout": Group(dict(self.readout.named_parameters()), rate, 0.01)}
        mapper = {"mapper": Group(dict(self.slots.mapper.named_parameters()), rate, 0.01)}
        if self.vectors.network is not None:
            network = dict(self.vectors.network.named_parameters())
            mapper["encoder"] = Group(network, self.method.config.encoder_learning_rate)
        text, both = {"adapters": adapters, **own}, {"adapters": adapters, **own, **mapper}
        planned = {
            "text": [("text", text, 0.0)],
            "t3": [("joint", both, 1.0 - self.method.config.hidden)],
        }.get(self.method.config.stage, [("text", text, 0.0), ("cie", mapper, 1.0)])
        return [self._stage(split, name, groups, chance) for name, groups, chance in planned]

    def score(self, queries: Sequence[Query], *, shown: bool, progress: Progress = quiet) -> list[FloatArray]:
        """One array per query, aligned with its candidates."""
        sizes = [len(query.candidates) for query in queries]
        found = np.zeros(sum(sizes), np.float32)
        laid = list(windows(queries, self.block))
        batches = self._batches(laid, [ALL] * len(laid), scoring.budget(self.method.llm))
        self.slots.eval()
        done = 0
        with self.method.llm.answering():
            for batch in batches:
                answers, questions, _ = self._answers(batch, shown=shown)
                found[questions] = answers.float().cpu().numpy()
                done += len(questions)
                progress("scoring", done, len(found))
        return np.split(found, np.cumsum(sizes)[:-1]) if sizes else []

    def _stage(self, split: PreferenceSplit, name: str, groups: dict[str, Group], chance: float) -> Stage:
        config, wanted = self.method.config, torch.from_numpy(labels(split.train).astype(np.float32))
        queries = [row.query for row in split.train]

        def laid(shift: int) -> list[Batch]:
            found = list(windows(queries, self.block, shift=shift))
            return self._batches(found, [fold_of(window.user) for window in found], config.batch_positions)

        def epoch(rng: np.random.Generator) -> list[Batch]:
            batches = laid(int(rng.integers(self.block)))
            return [batches[at] for at in rng.permutation(len(batches))]

        def loss(batch: Batch, share: float) -> Tensor:
            self.method.llm.model.train()  # for the adapters' dropout
            self.slots.train()
            shown = chance > 0 and float(torch.rand(())) < chance
            answers, questions, owners = self._answers(batch, shown=shown)
            return _loss(answers, wanted[questions].to(answers.device), owners, config.pairwise)

        sample = self.method.sample(split.valid)
        return self.method.stage(name, split, len(laid(0)), sample, chance > 0, epoch=epoch, loss=loss, groups=groups)

    def _batches(self, laid: Sequence[Window], folds: Sequence[int], budget: int) -> list[Batch]:
        lengths = [len(self.head) + sum(1 + (event.told and self.tells) for event in one.events) for one in laid]
        groups = scoring.batches(lengths, budget)
        return [Batch([laid[at] for at in group], [folds[at] for at in group]) for group in groups]

    def _answers(self, batch: Batch, *, shown: bool) -> tuple[Tensor, list[int], Tensor]:
        """Log-odds of the questions, their numbers, and which window each is of."""
        lm = self.method.llm
        rows = [list(self._positions(window)) for window in batch.windows]
        width = len(self.head) + max(map(len, rows))
        laid = np.zeros((len(rows), width, 6), np.int64)
        laid[..., 3] = -1  # no question
        n_head = len(self.head)
        laid[..., 4] = np.arange(width).clip(max=n_head)  # a row with many questions is longer than its last position
        laid[..., 5] = _PADDING  # sees itself and, so that no softmax is empty, nothing else
        laid[:, :n_head, 5], laid[:, :n_head, 0] = _HEAD, self.head
        for at, row in enumerate(rows):
            laid[at, n_head : n_head + len(row)] = row
        token, sees, place, question, position, kind = torch.from_numpy(laid).to(lm.device).unbind(-1)
        slots = kind == _SLOT
        embeddings = lm.model.get_input_embeddings()(torch.where(slots, torch.zeros_like(token), token))
        folds = torch.tensor(batch.folds, device=lm.device)[:, None].expand_as(token)[slots]
        filled = self.slots(token[slots], folds, shown=shown)
        embeddings = embeddings.index_put((slots,), filled.to(embeddings))
        mask = additive(_visible(sees, place, kind)[:, None], lm.dtype)
        states = lm.run(Inputs(embeddings, kind != _PADDING, position), mask)
        asked = question >= 0
        read = states[asked]
        owners = torch.arange(len(rows), device=lm.device)[:, None].expand_as(token)[asked]
        return self.readout(read, margin(lm, read, self.method.tokens)), question[asked].tolist(), owners

    def _positions(self, window: Window) -> Iterator[tuple[int, int, int, int, int, int]]:
        """Of each event its slot and, where answers are shown, the answer, as columns of whole numbers.

        Token or item; sees; place, -1 for what no other event sees; question, -1 for none; position; kind.
        """
        yes, no = self.method.tokens
        for event in window.events:
            at = len(self.head) + self.step * event.sees
            place = event.sees if event.told else -1
            yield event.item, event.sees, place, event.question, at, _SLOT
            if event.told and self.tells:
                yield yes if event.liked else no, event.sees, place, -1, at + 1, _TOKEN


_PADDING, _HEAD, _SLOT, _TOKEN = range(4)


def fold_of(user: int) -> int:
    """Which rates a training user is shown."""
    return user % FOLDS if user >= 0 else ALL


def rates_of(split: PreferenceSplit) -> FloatArray:
    """``[fold, item, 3]``: smoothed log-odds of a like, less the overall ones; how often shown; whether at all."""
    n_items, liked = split.dataset.n_items, labels(split.train)
    items = np.array([row.item for row in split.train])
    users = np.array([-1 if row.query.user is None else row.query.user for row in split.train])
    folds = np.where(users >= 0, users % FOLDS, ALL)
    mean, tables = liked.mean(), []
    for fold in range(FOLDS + 1):
        kept = folds != fold if fold < ALL else np.ones(len(items), bool)
        seen = np.bincount(items[kept], minlength=n_items)
        likes = np.bincount(items[kept], weights=liked[kept], minlength=n_items)
        rate = (likes + SMOOTHING * mean) / (seen + SMOOTHING)
        odds = np.log(rate / (1 - rate)) - np.log(mean / (1 - mean))
        tables.append(np.stack([odds / 0.5, np.log1p(seen) / 2 - 1, seen > 0], axis=1))
    return np.stack(tables).astype(np.float32)


def _visible(sees: Tensor, place: Tensor, kind: Tensor) -> Tensor:
    """``[row, query, key]``: the head in its order; what was told before; and of the own event what comes earlier."""
    width = kind.shape[1]
    earlier = torch.ones(width, width, dtype=torch.bool, device=kind.device).tril()
    itself = torch.eye(width, dtype=torch.bool, device=kind.device)
    head = (kind == _HEAD)[:, None, :] & earlier
    before = ((place >= 0) & (kind >= _SLOT))[:, None, :] & (place[:, None, :] < sees[:, :, None])
    # An answer sees its own slot, the position before it.
    answer = (kind == _TOKEN)[:, :, None] & torch.ones_like(itself).tril(-1).triu(-1)
    real = (kind != _PADDING)[:, :, None]
    return ((head | (before & (kind >= _SLOT)[:, :, None]) | answer) & real) | itself


def _loss(answers: Tensor, wanted: Tensor, owners: Tensor, pairwise: float) -> Tensor:
    """Cross-entropy of every answer and, weighed by ``pairwise``, of the order of a user's liked and disliked rows."""
    loss = functional.binary_cross_entropy_with_logits(answers, wanted)
    if not pairwise:
        return loss
    pairs = (owners[:, None] == owners) & (wanted[:, None] > wanted)
    if not pairs.any():
        return loss
    # Each user counts by how many rows they have, however many pairs these make.
    of_owner = torch.bincount(owners[pairs.nonzero()[:, 0]], minlength=int(owners.max()) + 1)
    rows = torch.bincount(owners, minlength=len(of_owner))
    weights = (rows / of_owner.clamp(min=1))[owners[pairs.nonzero()[:, 0]]]
    wrong = functional.softplus(answers[None, :] - answers[:, None])[pairs]
    return loss + pairwise * (wrong * weights).sum() / weights.sum()
