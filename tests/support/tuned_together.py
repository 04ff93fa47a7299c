"""``torchrun ... -m tuned_together FOLDER``: what `SCENES` come to in each of several processes -> a file for each."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from films import films
from shell import films_folder, tastemaker
from toy import Toy
from tuned_elsewhere import parameters

from tastemaker import artifacts, processes
from tastemaker.cli import _training
from tastemaker.methods.llara import LLaRA
from tastemaker.testing.methods import chains, under
from tastemaker.testing.tiny_llm import tiny_lm
from tastemaker.testing.tuned import write_lm
from tastemaker.tuning import checkpoint

SECOND = processes.index() == 1
STOP = 5
SETTINGS = {"epochs": 3, "batch_positions": 256, "validate_every": 4, "dropout": 0.0, "average": None}
"""Nothing in it is drawn: how a batch is shared out must not matter."""


def made(**options):
    """A toy whose validation rises; in the second process, which nobody must believe, it falls."""
    figures = itertools.count(0, -1 if SECOND else 1)
    return Toy(**{"drop": 0, "average": 0.9, "validate": lambda: next(figures), "validate_every": 7, **options})


def toy(folder, **options):
    """The toy, and what it has seen."""
    found = made(**options)
    found.run(folder, seed=5)
    return {**found.values(), "seen": np.array(found.seen)}


def drawn(folder):
    """The noise of each process's first step."""
    found = []
    toy(folder, steps=1, loss=lambda batch, share: found.append(torch.rand(8)) or torch.zeros((), requires_grad=True))
    return {"noise": found[0]}


def llara(folder, accumulate=1, progress=lambda *told: None):
    method = LLaRA(tiny_lm(), under(), **SETTINGS, accumulate=accumulate)
    return parameters(method.tune(chains(), seed=4, run_dir=folder, progress=progress))


def signalled(folder):
    """A signal to the second process alone, twice, as if its launcher had passed it on."""

    def progress(task, done, total=None, note=""):
        if SECOND and note and done == STOP:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    return llara(folder, progress=progress)


def resumed(folder):
    run = folder.with_name("signalled")
    (kept,) = (run / "checkpoints").iterdir()
    return {"step": artifacts.load(kept, checkpoint.KIND).json("progress")["step"], **llara(run)}


def failing(folder, wrong):
    """``wrong`` in the second process's seventh micro-batch."""
    one = made()
    whole = one.loss

    def loss(batch, share):
        found = whole(batch, share)
        return wrong(found) if SECOND and len(one.seen) == 7 else found

    one.stage = replace(one.stage, loss=loss)
    one.run(folder, save_every=5)


def full(folder):
    """The main process has no room for a checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        if not SECOND:
            patch.setattr(checkpoint, "save", lambda *what: Path("/dev/full").write_text("x"))
        toy(folder)


def begun_otherwise(folder):
    one = made()
    one.layer.bias.data += float(SECOND)
    one.run(folder)


def trained(folder, *more):
    """The command line, up to its end."""
    fitted = []
    with pytest.MonkeyPatch.context() as patch:
        fit = _training.fit_model
        patch.setattr(_training, "fit_model", lambda *what: fitted.append(1) or fit(*what))
        common = ("--data", folder.with_name("films"), "--llm", folder.with_name("lm"), "-o", "split.k_core=0")
        under_it = ("--collab", "gru4rec", "-o", "collab.epochs=1", "-o", "collab.embedding_size=8")
        done = tastemaker("train", "llara", "--out", folder, *common, *under_it, "-o", "epochs=2", *more)
    return {"code": done.code, "out": done.out, "err": done.err, "fitted": len(fitted)}


def left(folder):
    """The second process goes without a word. The last scene: there are no two processes after it."""
    if SECOND:
        processes.together(lambda: None)
        os._exit(0)
    toy(folder, steps=processes.together(lambda: 3)[0])


SCENES = {  # in this order: some go on from another
    "toy": toy,
    "drawn": drawn,
    "llara": llara,
    "signalled": signalled,
    "resumed": resumed,
    "nan": lambda folder: failing(folder, lambda loss: loss * float("nan")),
    "broken": lambda folder: failing(folder, lambda loss: {}["no such key"]),
    "full": full,
    "other seed": lambda folder: made().run(folder, seed=int(SECOND)),
    "other directory": lambda folder: made().run(None if SECOND else folder),
    "other start": begun_otherwise,
    "train": trained,
    "train again": lambda folder: trained(folder.with_name("train")),
    "train otherwise": lambda folder: trained(folder.with_name("train"), "--seed", 1),
    "left": left,
}


def main(folder):
    if not SECOND:
        films_folder(folder / "films", films())
        write_lm(folder / "lm")
    ends = {}
    for name, scene in SCENES.items():
        try:
            found = scene(folder / name) or {}
        except Exception as error:
            ends[name] = f"{type(error).__name__}: {error}"
        else:
            arrays = {key: value for key, value in found.items() if not isinstance(value, int | str)}
            ends[name] = {key: value for key, value in found.items() if key not in arrays}
            np.savez(folder / f"{name}-{processes.index()}.npz", **arrays)
        (folder / f"{processes.index()}.json").write_text(json.dumps(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
