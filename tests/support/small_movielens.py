"""Sixty users and sixty films in the files of MovieLens-100K: what the documentation's examples are run on."""

from __future__ import annotations

from pathlib import Path

N_USERS, N_FILMS, RATED = 48, 54, 12
START, STEP = 800_000_000, 3 * 86_400


def small_movielens(folder: Path) -> Path:
    """``u.data``, ``u.item`` and ``u.user``: user u rates every third film from u on; of these, even ones please."""
    folder.mkdir(parents=True)
    rows, films, users = [], [], []
    for user in range(1, N_USERS + 1):
        users.append(f"{user}|{20 + user % 40}|{'FM'[user % 2]}|writer|00000")
        for place in range(RATED):
            film = 1 + (user + 3 * place) % N_FILMS
            rows.append(f"{user}\t{film}\t{4 + user % 2 if film % 2 == 0 else 2}\t{START + place * STEP + user}")
    for film in range(1, N_FILMS + 1):
        genres = "|".join("1" if genre == film % 19 else "0" for genre in range(19))
        films.append(f"{film}|Film {film} ({1940 + film})|01-Jan-{1940 + film}||http://localhost/{film}|{genres}")
    for name, lines in (("u.data", rows), ("u.item", films), ("u.user", users)):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="latin-1")
    return folder


def tables(folder: Path) -> None:
    """Tables as people have them: ``shop.csv`` has column names of its own, ``ratings.csv`` ours; and RecBole's.

    ``items.csv`` goes with the shop. ``mine`` has its ratings under the usual names, split by somebody.
    """
    lines = ["customer,sku,stars,when"]
    atomic = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    ours = ["user_id,item_id,rating,time,title"]
    parts = {part: ["userId,itemId,stars,timestamp"] for part in ("train", "valid", "test")}
    for user in range(12):
        for place in range(8):
            item, stars = (user + place) % 12, 1 + (user + place) % 5
            lines.append(f"c{user},s{item},{stars},2024-01-{1 + place:02}T{user:02}:00:00Z")
            atomic.append(f"c{user}\ts{item}\t{stars}\t{START + place * STEP + user}")
            part = "train" if place < 4 else "valid" if place < 6 else "test"
            parts[part].append(f"c{user},s{item},{stars},{START + place * STEP + user}")
            ours.append(f"c{user},s{item},{stars},{START + place * STEP + user},Thing {item}")
    items = ["sku,title,genres", *(f"s{item},Thing {item},tools|garden" for item in range(12))]
    for name, table in (("shop.csv", lines), ("ratings.csv", ours), ("items.csv", items), ("books.inter", atomic)):
        (folder / name).write_text("\n".join(table) + "\n", encoding="utf-8")
    (folder / "mine").mkdir()
    for name, table in parts.items():
        (folder / "mine" / f"{name}.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
