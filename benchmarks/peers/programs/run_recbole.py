"""RecBole's SASRec, its own loss: every item of every user is a training row with the ``maxlen`` items before it."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from peer import Clock, Job
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.dataloader import TrainDataLoader
from recbole.data.interaction import Interaction
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed

NAME = "peer"


class UntilThen:
    """The batches of a loader, as many as begin before a moment."""

    def __init__(self, loader: TrainDataLoader, moment: float) -> None:
        self.loader, self.moment, self.given = loader, moment, 0

    def __iter__(self) -> Iterator[Interaction]:
        for batch in self.loader:
            if time.perf_counter() > self.moment:
                return
            self.given += 1
            yield batch


def settings(job: Job) -> dict:
    """The job in RecBole's words."""
    return {
        "data_path": str(job.folder),
        "checkpoint_dir": str(job.folder / "saved"),
        "USER_ID_FIELD": "user",
        "ITEM_ID_FIELD": "item",
        "TIME_FIELD": "place",
        "load_col": {"inter": ["user", "item", "place"]},
        "MAX_ITEM_LIST_LENGTH": job["maxlen"],
        "n_layers": job["blocks"],
        "n_heads": job["heads"],
        "hidden_size": job["factors"],
        "hidden_dropout_prob": job["dropout"],
        "attn_dropout_prob": job["dropout"],
        "train_batch_size": job["batch"],
        "learning_rate": job["learning_rate"],
        "train_neg_sample_args": None,
        "use_gpu": False,
        "seed": job["seed"],
        "show_progress": False,
    }


def write_rows(job: Job) -> None:
    """The training rows as RecBole's own kind of file."""
    folder = job.folder / NAME
    folder.mkdir()
    with (folder / f"{NAME}.inter").open("w") as file:
        file.write("user:token\titem:token\tplace:float\n")
        file.writelines(f"{user}\t{item}\t{place}\n" for user, item, place in job.rows("train.csv"))


class Asked:
    """The histories that are asked about, in RecBole's numbers, and which of them is whose."""

    def __init__(self, job: Job, dataset) -> None:
        self.users, histories = zip(*job.histories().items(), strict=True)
        known = dataset.field2token_id["item"]
        self.tokens = dataset.field2id_token["item"]
        self.seen = [[known[str(i)] for i in history if str(i) in known] for history in histories]
        self.last = [history[-job["maxlen"] :] for history in self.seen]
        self.maxlen = job["maxlen"]

    @torch.no_grad()
    def best(self, model: SASRec) -> list[list[str]]:
        """Ten unseen items for each user."""
        model.eval()
        found = []
        for start in range(0, len(self.users), 256):
            part = slice(start, start + 256)
            ids = torch.zeros(len(self.last[part]), self.maxlen, dtype=torch.long)
            for row, history in zip(ids, self.last[part], strict=True):
                row[: len(history)] = torch.tensor(history)
            lengths = torch.tensor([len(history) for history in self.last[part]])
            asked = Interaction({model.ITEM_SEQ: ids, model.ITEM_SEQ_LEN: lengths})
            scores = model.full_sort_predict(asked)
            scores[:, 0] = -torch.inf
            for row, seen in zip(scores, self.seen[part], strict=True):
                row[seen] = -torch.inf
            found += [list(self.tokens[row]) for row in scores.topk(10).indices.numpy()]
        return found


def main() -> None:
    """Train within the seconds given; an epoch that does not fit is cut off, and its length estimated."""
    job = Job()
    os.chdir(job.folder)
    torch.set_num_threads(job["threads"])
    write_rows(job)
    with Clock() as preparing:
        config = Config(model="SASRec", dataset=NAME, config_dict=settings(job))
        init_seed(job["seed"], reproducibility=True)
        dataset = create_dataset(config)
        dataset._change_feat_format()
        loader = TrainDataLoader(config, dataset, None, shuffle=True)
        model = SASRec(config, dataset)
        trainer = Trainer(config, model)
    asked, seconds, estimated = Asked(job, dataset), [], False
    for epoch in range(1, job["epochs"] + 1):
        batches = UntilThen(loader, time.perf_counter() + job["seconds"] - sum(seconds))
        with Clock() as clock:
            trainer._train_epoch(batches, epoch)
        seconds.append(clock.seconds)
        if estimated := batches.given < len(loader):
            seconds[-1] *= len(loader) / max(1, batches.given)
            break
        if job.due(epoch):
            job.recommend(epoch, sum(seconds), asked.users, asked.best(model))
    facts = {"curve": job.curve, "epoch_seconds": seconds, "setup_seconds": preparing.seconds, "estimated": estimated}
    job.answer(("recbole", "torch", "numpy"), loss=config["loss_type"], batches=len(loader), **facts)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    main()
