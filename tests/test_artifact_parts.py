"""An artefact may hold others, each loadable by itself, and a card that people edit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from versions import leftovers, save_version, version_of

from tastemaker.artifacts import load, save
from tastemaker.errors import ArtifactError, UsageError


def test_a_part_is_verified_as_part_and_loads_by_itself(tmp_path: Path) -> None:
    save_version(tmp_path / "inner", 2)
    save(tmp_path / "outer", kind="outer", json={"config": 1}, parts={"ranker": tmp_path / "inner"})
    assert "ranker/sub/table.parquet" in load(tmp_path / "outer", "outer").names
    assert version_of(load(tmp_path / "outer" / "ranker", "thing")) == 2


def test_parts_hold_parts(tmp_path: Path) -> None:
    save_version(tmp_path / "a", 1)
    save(tmp_path / "b", kind="b", parts={"a": tmp_path / "a"})
    save(tmp_path / "c", kind="c", parts={"b": tmp_path / "b"})
    assert version_of(load(tmp_path / "c" / "b" / "a", "thing")) == 1


def test_a_part_that_was_exchanged_is_noticed(tmp_path: Path) -> None:
    save_version(tmp_path / "inner", 1)
    save(tmp_path / "outer", kind="outer", parts={"ranker": tmp_path / "inner"})
    save_version(tmp_path / "outer" / "ranker", 2)
    with pytest.raises(ArtifactError):
        load(tmp_path / "outer", "outer")


def test_a_damaged_part_is_not_taken_in(tmp_path: Path) -> None:
    save_version(tmp_path / "inner", 1)
    (tmp_path / "inner" / "config.json").write_text('{"version": 2}')
    with pytest.raises(ArtifactError, match="damaged"):
        save(tmp_path / "outer", kind="outer", parts={"ranker": tmp_path / "inner"})
    assert not (tmp_path / "outer").exists()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["../x", "a b", "", "A"])
def test_a_part_has_a_safe_name(name: str, tmp_path: Path) -> None:
    save_version(tmp_path / "inner", 1)
    with pytest.raises(UsageError):
        save(tmp_path / "outer", kind="outer", parts={name: tmp_path / "inner"})


def test_the_card_may_be_edited_and_a_hub_may_add_its_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    save(path, kind="thing", json={"config": 1}, card="# Films\n")
    assert (path / "README.md").read_text() == "# Films\n"
    assert set(json.loads((path / "manifest.json").read_text())["files"]) == {"config.json"}
    (path / "README.md").write_text("# Better\n")
    (path / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    assert load(path, "thing").names == ["config.json"]
    save(path, kind="thing", json={"config": 2})
    assert sorted(p.name for p in path.iterdir()) == ["config.json", "manifest.json"]


def test_only_these_files_are_free(tmp_path: Path) -> None:
    save(tmp_path / "model", kind="thing", json={"sub/config": 1})
    (tmp_path / "model" / "sub" / "README.md").write_text("")
    with pytest.raises(ArtifactError, match="not in its manifest"):
        load(tmp_path / "model", "thing")


def test_a_card_that_is_a_link_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "model", kind="thing", json={"config": 1})
    (tmp_path / "model" / "README.md").symlink_to("/etc/hostname")
    with pytest.raises(ArtifactError, match="not a plain file"):
        load(tmp_path / "model", "thing")
