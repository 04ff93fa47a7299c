"""Tables open safely in a spreadsheet (goal S18), hold what was given, and nothing is written over unasked."""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl
import pytest

from tastemaker import load_dataset
from tastemaker.errors import ArtifactError, UsageError
from tastemaker.recommend.tables import require_free, write_table

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BODIES = ("cmd|' /C calc'!A0", '1+1","=2', 'HYPERLINK("http://x";"y")', "SUM(1;2)\r\n=3", "5")
PAYLOADS = [start + body for start in STARTS for body in BODIES]
HARMLESS = ["", "Film 1 (1991)", "a=b", "' =1", '"quoted"', "x\n=y", "x;=y", "é", "1-2"]
SUFFIXES = [".parquet", ".csv", ".jsonl"]


def frame(titles: list[str]) -> pl.DataFrame:
    rank = pl.Series(range(len(titles)), dtype=pl.Int32)
    return pl.DataFrame(
        {"user_id": "u", "rank": rank, "item_id": [f"i{i}" for i in rank], "title": titles}
    ).with_columns(score=-pl.col("rank").cast(pl.Float64))


def test_no_cell_of_a_csv_begins_like_a_formula(tmp_path: Path) -> None:
    assert len(PAYLOADS) >= 50
    rows = frame([*PAYLOADS, *HARMLESS])
    assert write_table(rows.lazy(), tmp_path / "lists.csv") == len(PAYLOADS)
    with (tmp_path / "lists.csv").open(newline="", encoding="utf-8") as file:
        header, *found = csv.reader(file, strict=True)
    assert header == ["user_id", "rank", "item_id", "title", "score"]
    assert [row[3] for row in found] == [*(f"'{text}" for text in PAYLOADS), *HARMLESS]
    assert [float(row[4]) for row in found] == rows["score"].to_list(), "numbers are no text, whatever their sign"


def test_text_stands_in_quotes_so_that_no_other_mark_begins_a_cell(tmp_path: Path) -> None:
    write_table(frame(["x;=y"]).lazy(), tmp_path / "lists.csv")
    assert '"x;=y"' in (tmp_path / "lists.csv").read_text()


def test_our_own_reader_reads_an_escaped_table(tmp_path: Path) -> None:
    titles = [text for text in PAYLOADS if text.splitlines() == [text]]
    write_table(frame(titles).lazy(), tmp_path / "lists.csv")
    assert load_dataset(str(tmp_path / "lists.csv")).titles == [f"'{text}" for text in titles]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_what_is_no_csv_is_left_as_it_is(suffix: str, tmp_path: Path) -> None:
    rows = frame([*PAYLOADS, *HARMLESS])
    assert write_table(rows.lazy(), tmp_path / f"lists{suffix}") == 0
    read = pl.read_parquet if suffix == ".parquet" else pl.read_ndjson
    found = read(tmp_path / f"lists{suffix}")
    assert found["title"].equals(rows["title"])
    assert found["score"].equals(rows["score"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_without_rows_is_a_table(suffix: str, tmp_path: Path) -> None:
    write_table(frame(["x"]).clear().lazy(), tmp_path / f"lists{suffix}")
    assert (tmp_path / f"lists{suffix}").is_file()
    assert [file.name for file in tmp_path.iterdir()] == [f"lists{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_that_cannot_be_made_leaves_what_was_there(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"lists{suffix}").write_text("old")
    broken = frame(["x"]).lazy().with_columns(pl.col("title").str.to_integer().cast(pl.String))
    with pytest.raises(ArtifactError, match=rf"lists\{suffix}: not written \("):
        write_table(broken, tmp_path / f"lists{suffix}")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "lists.csv").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=r"lists.csv is there already; .*--overwrite"):
        require_free(tmp_path / "lists.csv", overwrite=False)
    with pytest.raises(UsageError, match="is a directory"):
        require_free(tmp_path / "folder.csv", overwrite=True)
    with pytest.raises(UsageError, match=r"ends in \.parquet or \.csv or \.jsonl"):
        require_free(tmp_path / "lists.xlsx", overwrite=True)
    require_free(tmp_path / "lists.csv", overwrite=True)
    require_free(tmp_path / "LISTS.CSV", overwrite=False)
