"""RecTools' SASRec, its own loss: one sequence a user and epoch, the last ``maxlen`` items of it."""

from __future__ import annotations

import time
import warnings
from typing import ClassVar

import pandas as pd
import torch
from peer import Clock, Job
from pytorch_lightning import Callback, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel


class Epochs(Callback):
    """Seconds of each epoch, without what RecTools does before and after it."""

    seconds: ClassVar[list[float]] = []
    """The class's own, since the trainer copies its callbacks."""

    def on_train_epoch_start(self, *_: object) -> None:
        """Begin to count."""
        self.started = time.perf_counter()

    def on_train_epoch_end(self, *_: object) -> None:
        """Stop counting."""
        Epochs.seconds.append(time.perf_counter() - self.started)


def trainer() -> Trainer:
    """A quiet one on the CPU."""
    return Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Epochs()],
    )


def dataset(rows: list[tuple[int, int, int]]) -> Dataset:
    """The rows as RecTools takes them; a place becomes a second."""
    frame = pd.DataFrame(rows, columns=[Columns.User, Columns.Item, "place"])
    frame[Columns.Datetime] = pd.Timestamp("2000-01-01") + pd.to_timedelta(frame.pop("place"), unit="s")
    frame[Columns.Weight] = 1.0
    return Dataset.construct(frame)


def main() -> None:
    """Train epoch by epoch within the seconds given."""
    job = Job()
    torch.set_num_threads(job["threads"])
    seed_everything(job["seed"], verbose=False)
    train, seen = dataset(job.rows("train.csv")), dataset(job.rows("queries.csv"))
    users = list(job.histories())
    model = SASRecModel(
        n_factors=job["factors"],
        n_blocks=job["blocks"],
        n_heads=job["heads"],
        session_max_len=job["maxlen"],
        dropout_rate=job["dropout"],
        batch_size=job["batch"],
        lr=job["learning_rate"],
        get_trainer_func=trainer,
    )
    whole, first = Clock(), 0.0
    for epoch in range(1, job["epochs"] + 1):
        with whole:
            model.fit_partial(train, min_epochs=1, max_epochs=1)
        first = first or whole.seconds - Epochs.seconds[0]
        if job.due(epoch):
            found = model.recommend(users=users, dataset=seen, k=10, filter_viewed=True)
            lists = found.sort_values([Columns.User, Columns.Rank]).groupby(Columns.User)[Columns.Item].agg(list)
            job.recommend(epoch, sum(Epochs.seconds), lists.index, lists)
        if sum(Epochs.seconds) > job["seconds"]:
            break
    packages = ("rectools", "torch", "pytorch-lightning", "numpy")
    facts = {"curve": job.curve, "epoch_seconds": Epochs.seconds, "setup_seconds": first, "estimated": False}
    job.answer(packages, loss=model.loss, **facts)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
