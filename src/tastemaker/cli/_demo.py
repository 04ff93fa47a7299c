"""The steps of the demo: data, models, table, recommendations, report; each skipped if what it made is there."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tastemaker import collab
from tastemaker.artifacts import write_atomic
from tastemaker.cli._judging import BASELINES, of_model, of_ranker
from tastemaker.cli._output import say, show_line, show_result, show_table, size
from tastemaker.cli._runs import LOG, MODEL, ModelConfig, RunConfig, open_run, split_of
from tastemaker.cli._training import fit_model, train_run
from tastemaker.collab.ensemble import Ensemble
from tastemaker.data.split import Case, Split
from tastemaker.errors import LanguageModelError, SourceError, UsageError
from tastemaker.evaluate import (
    Curve,
    Example,
    Result,
    Suggestion,
    System,
    evaluate,
    protocol,
    read_result,
    render_report,
    write_result,
)
from tastemaker.evaluate.machine import peak_memory
from tastemaker.llm.local import best_device, fastest
from tastemaker.recommend import Recommender
from tastemaker.serve import opening
from tastemaker.types import Progress

PROTOCOL = "leave-one-out-20"
DRAWS = 100
"""Frozen lists of candidates for each user: one alone would add more noise than there is between good systems."""
READ = 5
"""How many of them a method that reads its candidates is asked about, each a pass of the language model."""
SHOWN = 5
"""Recommendations for each user."""


def hurried(method: str) -> list[str]:
    """Settings with which the demo ends within a quarter of an hour on two cores, if nobody gives any."""
    if method != "llara":
        return []
    slow = fastest(torch.device(best_device())) == torch.float32
    return ["epochs=3", *(["layers=6"] if slow else [])]


class Demo:
    """One demo in one directory; call the steps in their order."""

    split: Split
    recommender: Recommender
    result: Result
    examples: list[Example]

    def __init__(self, out: Path, config: RunConfig, progress: Progress) -> None:
        self.out, self.config, self.progress = out, config, progress
        self.started = time.monotonic()

    def data(self, *, overwrite: bool) -> None:
        """The data, split, and a directory that is ours."""
        say(f"1/6 data: {self.config.data.name}")
        self.split = split_of(self.config.data, self.progress)
        self.config = self.config.with_hash(self.split)
        self.trained = open_run(self.out, self.config, overwrite=overwrite)
        if not self.trained:
            for name in ("result.json", "examples.json"):
                (self.out / name).unlink(missing_ok=True)

    def train(self) -> None:
        """The collaborative model, and the language model tuned on top of it."""
        under = self.config.collab.name if self.config.collab else "nothing"
        say(f"2/6 {self.config.train} on {under} and {self.config.llm}{' (kept)' if self.trained else ''}")
        if self.trained:
            self.recommender = Recommender.from_pretrained(self.out)
        else:
            self.recommender = train_run(self.config, self.split, self.out, self.progress)

    def judge(self) -> None:
        """Everybody's last item, to be found among 20, by every system."""
        kept = self.out / "result.json"
        say(f"3/6 comparison on {len(self.split.test):,} users{' (kept)' if kept.is_file() else ''}")
        if not kept.is_file():
            rule = protocol(PROTOCOL).model_copy(update={"draws": DRAWS})
            judged = evaluate(self.split, self._systems(), rule, progress=self.progress)
            write_result(judged, kept, f"tastemaker demo --out {self.out}", name="demo")
        self.result = read_result(kept)

    def recommend(self, users: int) -> None:
        """What some of those users are recommended, why, and what they chose."""
        kept = self.out / "examples.json"
        stored = json.loads(kept.read_bytes()) if kept.is_file() else []
        say(f"4/6 recommendations for {users} users{' (kept)' if len(stored) == users else ''}")
        if len(stored) != users:
            drawn = np.random.default_rng(self.config.seed).permutation(len(self.split.test))[:users]
            stored = [self._example(self.split.test[i]) for i in drawn]
            write_atomic(kept, json.dumps(stored, indent=1, ensure_ascii=False).encode())
        self.examples = [
            Example(one["user"], one["history"], [Suggestion(**s) for s in one["suggestions"]], one["chosen"])
            for one in stored
        ]

    def report(self) -> None:
        """All of it as one page of HTML."""
        say("5/6 report")
        log = self.out / LOG
        curves = [Curve.read(log, self.config.train)] if log.is_file() else []
        page = render_report([self.result], curves=curves, examples=self.examples, title="tastemaker demo")
        write_atomic(self.out / "report.html", page.encode())

    def serve(self) -> None:
        """What ``tastemaker serve`` opens on: the catalogue's search index, and what ratings there are."""
        say("6/6 search index for tastemaker serve")
        folder = opening.state_folder(self.out)
        try:
            opening.open_conversation(self.recommender, folder, self.progress)
            opening.keep_ratings(self.split.dataset, self.recommender, folder)
        except (UsageError, SourceError, LanguageModelError) as error:
            say(f"left to tastemaker serve: {error}")

    def tell(self) -> None:
        """The table and the recommendations on stdout, and what it took."""
        show_result(self.result, as_json=False)
        for one in self.examples:
            show_line(f"User {one.user} last chose: {'; '.join(one.history[-3:])}; and then: {one.chosen}")
            rows = [(i, s.title, s.reason) for i, s in enumerate(one.suggestions, start=1)]
            show_table(("", "recommended", "because"), rows)
        show_line(f"report: {self.out / 'report.html'}")
        show_line(f"recommender: {self.out / MODEL} (tastemaker recommend {self.out} --user ID)")
        used = size(peak_memory())
        show_line(f"took {time.monotonic() - self.started:,.0f} s and at most {used} of memory")

    def _systems(self) -> list[System]:
        """Baselines, the retriever after the models it is made of, and the method."""
        retriever, seed = self.recommender.retriever, self.config.seed
        made_of = retriever.members if isinstance(retriever, Ensemble) else ()
        models = {collab.models.name_of(type(model)): model for model in (*made_of, retriever)}
        for name in BASELINES:
            if name not in models:
                baseline = ModelConfig(name=name)
                models[name] = fit_model(baseline, self.split, seed, self.progress)
        order = [*BASELINES, *(name for name in models if name not in BASELINES)]
        rows = [of_model(name, models[name], seed) for name in order]
        ranker = self.recommender.ranker
        if ranker is not None:
            rows.append(of_ranker(self.config.train, self.recommender, ranker, READ, seed))
        return rows

    def _example(self, case: Case) -> dict[str, Any]:
        data = self.split.dataset
        ids, titles = data.items["item_id"], data.titles
        (answer,) = self.recommender.answer([case.query], SHOWN)
        history = [ids[i] for i in case.query.history]
        reasons = [self.recommender.explain(ids[i], history=history).sentence for i in answer.items]
        found = zip(answer.items, answer.scores, reasons, strict=True)
        return {
            "user": "unknown" if case.query.user is None else data.users["user_id"][case.query.user],
            "history": [titles[i] for i in case.query.history],
            "suggestions": [{"title": titles[i], "score": score, "reason": reason} for i, score, reason in found],
            "chosen": titles[case.positive],
        }
