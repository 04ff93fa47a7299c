"""Texts -> answers the way the released codes get them, in plain `transformers` and `peft`: what we measure against.

Nothing here knows tastemaker. Only the work is timed, and a loaded model is used again, so calls can alternate with
ours, on the texts of `benchmarks.prompts`::

    lm = load(directory)
    asked = prompts.choices(prompts.made_up(), users=16)
    choose(lm, [one.prompt for one in asked], [one.titles for one in asked]).seconds
"""

from __future__ import annotations

from benchmarks.naive.choice import Chosen, choose
from benchmarks.naive.model import Loaded, load
from benchmarks.naive.tuning import BATCH, Tuned, Tuner
from benchmarks.naive.yesno import Answered, ask

__all__ = ["BATCH", "Answered", "Chosen", "Loaded", "Tuned", "Tuner", "ask", "choose", "load"]
