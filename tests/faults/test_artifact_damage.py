"""Not one damaged byte of an artefact goes unnoticed (goal T5)."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from versions import save_version, version_of

from tastemaker.artifacts import load
from tastemaker.errors import ArtifactError


def refuses(path: Path) -> bool:
    """Loading is refused. Fails if it gives anything but the truth."""
    try:
        loaded = load(path, "thing")
        assert version_of(loaded) == 1
    except ArtifactError:
        return True
    return False


def data_files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file())


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    save_version(tmp_path / "a", 1)
    rng = random.Random(5)
    files = data_files(tmp_path / "a")
    for _ in range(2000):
        file = rng.choice(files)
        data = bytearray(file.read_bytes())
        bit = rng.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        good = file.read_bytes()
        file.write_bytes(data)
        assert refuses(tmp_path / "a"), f"bit {bit} of {file.name}"
        file.write_bytes(good)
    assert not refuses(tmp_path / "a")


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    save_version(tmp_path / "a", 1)
    rng = random.Random(6)
    files = data_files(tmp_path / "a")
    for _ in range(200):
        file = rng.choice(files)
        good = file.read_bytes()
        file.write_bytes(good[: rng.randrange(len(good))] if rng.random() < 0.9 else good + b" ")
        if file.name == "manifest.json" and file.stat().st_size > len(good):
            file.write_bytes(good[:-1])  # a space after JSON changes nothing, a missing bracket does
        assert refuses(tmp_path / "a"), file.name
        file.write_bytes(good)


def test_every_swapped_file_is_noticed(tmp_path: Path) -> None:
    for name, version in (("a", 1), ("b", 2)):
        save_version(tmp_path / name, version)
    shutil.copytree(tmp_path / "a", tmp_path / "good")
    rng = random.Random(7)
    donors = [*data_files(tmp_path / "a"), *data_files(tmp_path / "b")]
    done = 0
    while done < 50:
        donor, target = rng.choice(donors), rng.choice(data_files(tmp_path / "a"))
        if donor.read_bytes() == target.read_bytes():
            continue
        target.write_bytes(donor.read_bytes())
        assert refuses(tmp_path / "a"), f"{donor} over {target}"
        shutil.rmtree(tmp_path / "a")
        shutil.copytree(tmp_path / "good", tmp_path / "a")
        done += 1


def test_a_missing_and_an_added_file_are_noticed(tmp_path: Path) -> None:
    for file in ("model.safetensors", "config.json", "sub/table.parquet", "manifest.json"):
        save_version(tmp_path / file.replace("/", "-"), 1)
        (tmp_path / file.replace("/", "-") / file).unlink()
        assert refuses(tmp_path / file.replace("/", "-"))
    save_version(tmp_path / "a", 1)
    (tmp_path / "a" / "sub" / "more.json").write_text("2")
    assert refuses(tmp_path / "a")
