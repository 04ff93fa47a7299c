"""implicit's ALS matrix factorisation, its own settings; an epoch is one of its iterations."""

from __future__ import annotations

import numpy as np
from implicit.als import AlternatingLeastSquares
from peer import Clock, Job
from scipy.sparse import csr_matrix


def matrix(rows: list[tuple[int, int, int]], shape: tuple[int, int]) -> csr_matrix:
    """``[user, item]``: one where the user chose the item."""
    users, items, _ = np.array(rows).T
    return csr_matrix((np.ones(len(rows), dtype=np.float32), (users, items)), shape=shape)


def main() -> None:
    """Fit once; each iteration is timed by the callback that implicit offers."""
    job = Job()
    train, seen = job.rows("train.csv"), job.rows("queries.csv")
    shape = tuple(1 + np.array([*train, *seen])[:, :2].max(axis=0))
    model = AlternatingLeastSquares(
        factors=job["factors"], iterations=job["epochs"], random_state=job["seed"], num_threads=job["threads"]
    )
    seconds: list[float] = []
    with Clock() as clock:
        model.fit(matrix(train, shape), show_progress=False, callback=lambda _, took, __: seconds.append(took))
    users = list(job.histories())
    asked = matrix(seen, shape)[users]
    found, _ = model.recommend(users, asked, N=10, filter_already_liked_items=True, recalculate_user=True)
    job.recommend(job["epochs"], clock.seconds, users, found)
    setup = clock.seconds - sum(seconds)
    facts = {"curve": job.curve, "epoch_seconds": seconds, "setup_seconds": setup, "estimated": False}
    job.answer(("implicit", "numpy"), loss="squared", **facts)


if __name__ == "__main__":
    main()
