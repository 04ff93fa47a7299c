"""CoLLM's question in words, whatever tells of who asks and of what is asked about: its parts, and how it is tuned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tastemaker.collab.pointwise.din import DIN
from tastemaker.data.preference import Judgement, PreferenceSplit, labels
from tastemaker.methods import _worded
from tastemaker.methods._encoded import EncodedMethod
from tastemaker.methods._worded import SawTooth, Wording
from tastemaker.prompts.prompt import Prompt, joined
from tastemaker.tuning.answered import said
from tastemaker.tuning.stages import Group, Stage
from tastemaker.types import FloatArray, Progress, Query, quiet


class QuestionReading(ABC):
    """Log-odds from a prompt that names what was liked, then the item. A subclass adds what the encoder knows."""

    def __init__(self, method: EncodedMethod) -> None:
        self.method = method

    @abstractmethod
    def wording(self, *, shown: bool) -> Wording:
        """The prompt with what the encoder knows, or ``plain``."""

    def score(self, queries: Sequence[Query], *, shown: bool, progress: Progress = quiet) -> list[FloatArray]:
        """One array per query, aligned with its candidates."""
        asked = [one for query in queries for one in self._asked(query)]
        raw, wording = self.method.config.loss == "yes", self.wording(shown=shown)
        found = _worded.score(self.method.llm, self.method.tokens, asked, wording, raw=raw, progress=progress)
        flat = np.concatenate([np.zeros(0, np.float32), *found])
        return np.split(flat, np.cumsum([len(query.candidates) for query in queries])[:-1]) if queries else []

    @property
    def plain(self) -> Wording:
        """Titles alone."""
        return Wording(
            lambda query, at: Prompt.of(self.liked(query), LEVERAGE, self.titled),
            lambda query, item: Prompt.of(' "', self.method.title(item), '"', self.end),
        )

    @property
    def titled(self) -> str:
        """What comes before the title asked about."""
        return f" whether the user would enjoy the {self.method.config.domain} titled"

    @property
    def end(self) -> str:
        """The released files hold a backslash and an n where a line should break."""
        line = "\\n" if self.method.config.mode == "faithful" else "\n"
        return f'? Answer with "Yes" or "No". {line}#Answer:'

    def liked(self, query: Query) -> Prompt:
        """The beginning of the question."""
        noun = self.method.config.domain
        asked = f"#Question: A user has given high ratings to the following {noun}s: "
        return Prompt.of(asked, self.history(query), ".")

    def history(self, query: Query) -> Prompt:
        """The last liked titles."""
        liked = [item for item, like in zip(query.history, said(query), strict=True) if like]
        titles = [Prompt.of('"', self.method.title(item), '"') for item in liked[-self.method.config.history :]]
        # The word for an empty history is spelled as in the released code.
        nothing = "unkow" if self.method.config.mode == "faithful" else "none yet"
        return joined(titles, ", ") if titles else Prompt.of(nothing)

    def stage(self, split: PreferenceSplit, name: str, groups: dict[str, Group], *, shown: bool) -> Stage:
        """Passes over the training rows in random batches."""
        config, lm = self.method.config, self.method.llm
        wanted, wording = torch.from_numpy(labels(split.train).astype(np.float32)), self.wording(shown=shown)
        queries = [self.method.known(row.query) for row in split.train]

        def epoch(rng: np.random.Generator) -> list[list[int]]:
            return list(_worded.row_batches(len(queries), config.batch_rows, rng))

        def loss(rows: list[int], share: float) -> Tensor:
            asked = [queries[row] for row in rows]
            return _worded.answer_loss(lm, self.method.tokens, asked, wanted[rows], wording, raw=config.loss == "yes")

        sample: list[Judgement] = self.method.sample(split.valid)
        per_epoch = -(-len(queries) // config.batch_rows)
        options = {"clip": None, "betas": (0.9, 0.999)} if config.mode == "faithful" else {}
        stage = self.method.stage(
            name, split, per_epoch, sample, shown, epoch=epoch, loss=loss, groups=groups, **options
        )
        return stage if config.schedule == "cosine" else SawTooth(**vars(stage))

    def _asked(self, query: Query) -> list[Query]:
        """One query per candidate where who asks depends on what is asked about."""
        if not isinstance(self.method.encoder, DIN):
            return [query]
        return [replace(query, candidates=(item,)) for item in query.candidates]


LEVERAGE = " Leverage the information to predict"
FEATURE = " Additionally, we have information about the user's preferences encoded in the feature "
ALL = ". Using all available information, make a prediction about"
