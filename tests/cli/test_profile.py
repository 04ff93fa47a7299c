"""tastemaker profile: keywords with their evidence, for users and histories."""

from __future__ import annotations

from pathlib import Path

from shell import tastemaker


def test_a_user_has_keywords_each_with_evidence(tuned: Path) -> None:
    told = tastemaker("profile", tuned, "--user", "u0", "--json").json
    assert told["source"] == "counted"
    first = told["keywords"][0]
    assert first["lift"] > 1
    assert set(first["evidence"]) <= {f"f{i}" for i in range(8)}
    assert first["titles"][0].startswith("Film")
    done = tastemaker("profile", tuned, "--user", "u0").ok()
    assert done.out.startswith("Prefers the 1990s")


def test_somebody_new_and_somebody_unknown(tuned: Path, tmp_path: Path) -> None:
    history = tmp_path / "history.txt"
    history.write_text("f25\nf26\nf27\n")
    told = tastemaker("profile", tuned, "--history", history, "--json").json
    assert told["keywords"][0]["word"] == "the 2010s"
    tastemaker("profile", tuned, "--user", "nobody").fails(2, "no user with id 'nobody'")
    tastemaker("profile", tuned).fails(2, "say for whom")
    tastemaker("profile", tuned, "--user", "u0", "--written").fails(2, "has no PALR")
