"""Amazon's reviews and Book-Crossing's tables are read as they were published, dirt included."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import tastemaker.testing
from tastemaker.data import PreferenceSplit, load_dataset
from tastemaker.data.instructions import read_instructions
from tastemaker.errors import DataError

TIME = 1_483_228_800


def reviews(folder: Path, *, packed: bool = False, more: str = "") -> Path:
    rows = [("ann", "B1", 5.0, TIME), ("ann", "B1", 2.0, TIME), ("bob", "B1", 4, TIME + 9), ("bob", "B2", 1.0, TIME)]
    keys = ("reviewerID", "asin", "overall", "unixReviewTime")
    text = "".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows) + more
    meta = "{'asin': 'B1', 'title': 'It\\'s old'}\n{'asin': 'B9', 'title': 'never reviewed'}\n{\"asin\": \"B2\"}\n"
    meta += '{"asin": "B1", "title": "New & improved"}\n'
    for name, content in (("Books_5.json", text), ("meta_Books.json", meta)):
        file = folder / (f"{name}.gz" if packed else name)
        file.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_amazons_reviews_with_titles_the_last_of_which_holds(packed: bool, tmp_path: Path) -> None:
    data = load_dataset(reviews(tmp_path, packed=packed))
    assert data.name == "amazon-books"
    assert data.items.rows() == [("B1", "New & improved"), ("B2", "")]
    assert data.interactions.rows() == [(0, 0, 5.0, TIME), (1, 1, 1.0, TIME), (1, 0, 4.0, TIME + 9)]
    assert "Dropped 1 repeated" in data.notes[-1]
    kept = load_dataset("amazon-reviews", tmp_path, repeats="keep")
    assert kept.n_interactions == 4


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("{broken\n", r":5: is neither JSON nor a Python literal"),
        ("[1]\n", r":5: is not an object"),
        ('{"reviewerID": "u", "asin": "B1", "overall": 9, "unixReviewTime": 1}\n', r":5: is not a review"),
        ("__import__('os').getcwd()\n", r":5: is neither"),
    ],
)
def test_a_line_that_is_no_review_is_named(more: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        load_dataset(reviews(tmp_path, more=more))


def test_a_gzip_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    file = reviews(tmp_path, packed=True) / "Books_5.json.gz"
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset(tmp_path)


def book_crossing(folder: Path) -> Path:
    ratings = [(f"u{u}", f"{n:010}", n % 11) for u in range(20) for n in range(5)]
    lines = ['"User-ID";"ISBN";"Book-Rating"', *(f'"{u}";"{i}";"{r}"' for u, i, r in ratings)]
    (folder / "BX-Book-Ratings.csv").write_text("\n".join(lines) + "\n", encoding="latin-1")
    books = [
        '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S";"Image-URL-M";"Image-URL-L"',
        '"0000000000";"Déjà vu; a story";"Ann &amp; Bob";"1999";"P";"s";"m";"l"',
        '"0000000001";"A \\"great\\" one";"";"0";"P";"s";"m";"l"',
        '"0000000002";"broken";"s";"m"',
    ]
    (folder / "BX-Books.csv").write_text("\n".join(books) + "\n", encoding="latin-1")
    return folder


def test_book_crossing_with_its_quotes(tmp_path: Path) -> None:
    data = load_dataset(book_crossing(tmp_path))
    assert (data.n_users, data.n_items, data.n_interactions) == (20, 5, 100)
    assert data.titles[:2] == ["Déjà vu; a story by Ann & Bob", 'A "great" one']
    assert data.items["year"].to_list()[:2] == [1999, None]
    assert any("Skipped 1 rows" in note for note in data.notes)
    split = data.split("per-user-random", min_rating=3)
    assert isinstance(split, PreferenceSplit)
    assert [len(rows) for rows in (split.train, split.valid, split.test)] == [16, 2, 2]


def test_a_rating_that_is_none_is_named(tmp_path: Path) -> None:
    file = book_crossing(tmp_path) / "BX-Book-Ratings.csv"
    file.write_text(file.read_text(encoding="latin-1") + '"u1";"x";"11"\n', encoding="latin-1")
    with pytest.raises(DataError, match=r"BX-Book-Ratings.csv:102: rating '11'"):
        load_dataset(tmp_path)


def test_the_instructions_that_ship_are_instructions() -> None:
    found = read_instructions(Path(tastemaker.testing.__file__).with_name("instructions.json"))
    assert len(found) >= 10
    assert {"Yes.", "No."} <= {one.output for one in found}


@pytest.mark.data
def test_amazon_beauty(real_data: Path) -> None:
    data = load_dataset("amazon-beauty", real_data / "amazon-beauty")
    assert (data.n_users, data.n_items, data.n_interactions) == (22_363, 12_101, 198_502)
    assert load_dataset(real_data / "amazon-beauty").hash == data.hash
