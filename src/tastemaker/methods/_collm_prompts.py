"""CoLLM as its paper reads: one prompt in words per user, with a slot for who asks and one for what is asked about.

What still differs from the released code, in ``mode="faithful"`` too: an epoch is a pass over the data instead of
1,600 rows drawn; users and items are slots of their own instead of ``<unk>`` tokens found in the ids; prompts of one
user over several items share the reading of the history; and nothing is put before the prompt but what the tokenizer
puts there by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tastemaker.data.preference import PreferenceSplit
from tastemaker.llm.projector import Mapper
from tastemaker.llm.slots import SlotFiller
from tastemaker.methods._questions import ALL, FEATURE, LEVERAGE, QuestionReading
from tastemaker.methods._vectors import Vectors
from tastemaker.methods._worded import Wording
from tastemaker.prompts.prompt import ItemSlot, Part, Prompt, Slot, UserSlot
from tastemaker.tuning.stages import Group, Stage
from tastemaker.types import Item, Query, User

if TYPE_CHECKING:
    from tastemaker.methods.collm import CoLLM

SOFT = 3
"""Free vectors for the user, and as many for the item, in a soft prompt."""


class PairReading(QuestionReading):
    """Who asks, and what is asked about, as a slot for the mapped vector of each."""

    method: CoLLM

    def __init__(self, method: CoLLM) -> None:
        super().__init__(method)
        lm, config = method.llm, method.config
        generator = torch.Generator().manual_seed(method.seed)
        self.vectors = Vectors(method.encoder, method.learns, generator).to(lm.device)
        scale = lm.embedding_rms if config.matched else None
        size = self.vectors.size
        self.mapper = Mapper(size, lm.hidden_size, scale=scale, generator=generator, middle=10 * size, curve="relu").to(
            lm.device
        )
        drawn = torch.randn(2 * SOFT, lm.hidden_size, generator=generator) * lm.embedding_rms
        self.soft = nn.ParameterDict({"soft": nn.Parameter(drawn)} if config.soft else {}).to(lm.device)
        spread = self.vectors.items().detach()[self.vectors.known].std().item() if config.matched else 1.0
        self.spread = max(spread, 1e-6)

    def modules(self) -> dict[str, nn.Module]:
        """What is saved beside the adapters."""
        found: dict[str, nn.Module] = {"vectors": self.vectors, "mapper": self.mapper}
        return {**found, "soft": self.soft} if self.method.config.soft else found

    def stages(self, split: PreferenceSplit, adapters: Group) -> list[Stage]:
        """The text stage, the collaborative one, or both at once, as the method's ``stage`` says."""
        config = self.method.config
        rate = config.learning_rate if config.mode == "faithful" else config.head_learning_rate
        mapper = {"mapper": Group(dict(self.mapper.named_parameters()), rate, 1e-3)}
        if self.vectors.network is not None:
            network = dict(self.vectors.network.named_parameters())
            mapper["encoder"] = Group(network, config.encoder_learning_rate)
        language = {"adapters": replace(adapters, weight_decay=1e-3)}
        if config.soft:
            soft = {"soft": Group(dict(self.soft.named_parameters()), rate)}
            return [self.stage(split, "soft", {**language, **soft}, shown=True)]
        planned = {"text": [("text", language, False)], "t3": [("joint", {**language, **mapper}, True)]}.get(
            config.stage, [("text", language, False), ("cie", mapper, True)]
        )
        return [self.stage(split, name, groups, shown=shown) for name, groups, shown in planned]

    def wording(self, *, shown: bool) -> Wording:
        """The paper's prompt, with or without collaborative clauses."""
        if self.method.config.soft:
            return Wording(self._soft_prompt, self._soft_target, lambda queries: self._fill_soft)
        if not shown or self.method.config.stage == "text":
            return self.plain

        def filler(queries: Sequence[Query]) -> SlotFiller:
            @cache
            def users() -> Tensor:
                self.vectors.train(self.method.llm.model.training)  # an encoder that learns does as what it learns with
                return self.vectors.users(queries)

            return lambda slots: self._fill(slots, users())

        return Wording(self._told_prompt, self._told_target, filler)

    def _told_prompt(self, query: Query, at: int) -> Prompt:
        if self.method.config.unknown == "drop" and not self.vectors.knows([query])[0]:
            return Prompt.of(self.liked(query), LEVERAGE, self.titled)
        return Prompt.of(self.liked(query), FEATURE, UserSlot(User(at)), ALL, self.titled)

    def _told_target(self, query: Query, item: Item) -> Prompt:
        known = self.method.config.unknown == "zero" or bool(self.vectors.known[item])
        clause: tuple[Part, ...] = (" with the feature ", ItemSlot(item)) if known else ()
        return Prompt.of(' "', self.method.title(item), '"', *clause, self.end)

    def _soft_prompt(self, query: Query, at: int) -> Prompt:
        slots = [UserSlot(User(k)) for k in range(SOFT)]
        return Prompt.of("#Question: ", *slots, " ", self.history(query), " [SEP]")

    def _soft_target(self, query: Query, item: Item) -> Prompt:
        slots = [ItemSlot(Item(k)) for k in range(SOFT)]
        asked = f' "{{}}" [SEP]{ALL[1:]}{self.titled} this'.split("{}")
        return Prompt.of(*slots, asked[0], self.method.title(item), asked[1], self.end)

    def _fill(self, slots: Sequence[Slot], users: Tensor) -> Tensor:
        items = self.vectors.items()
        rows = [users[slot.user] if isinstance(slot, UserSlot) else items[slot.item] for slot in slots]
        return self.mapper.mapped(torch.stack(rows) / self.spread)

    def _fill_soft(self, slots: Sequence[Slot]) -> Tensor:
        places = [slot.user if isinstance(slot, UserSlot) else SOFT + slot.item for slot in slots]
        found: Tensor = self.soft["soft"][places]
        return found
