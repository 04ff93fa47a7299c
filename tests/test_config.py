"""Settings come from defaults, a file and overrides; a wrong one is named in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tastemaker.config import build, dump_config, load_config, parse_overrides, write_config
from tastemaker.errors import ConfigError


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tuning(Group):
    epochs: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    schedule: Literal["linear", "constant"] = "linear"
    layers: tuple[str, ...] = ("q", "v")


class Run(Group):
    name: str = "run"
    tuning: Tuning = Tuning()
    fallback: Tuning | None = None
    stages: list[Tuning] = []

    @model_validator(mode="after")
    def _named(self) -> Run:
        if self.name == "nameless":
            raise ValueError("a run needs a name")
        return self


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.yaml"


def test_without_a_file_there_are_the_defaults() -> None:
    assert load_config(Run) == Run()


def test_overrides_go_over_the_file_and_the_file_over_defaults(file: Path) -> None:
    file.write_text("name: one\ntuning:\n  epochs: 5\n  learning_rate: 1e-3\n")
    run = load_config(Run, file, ["tuning.epochs=7", "fallback.epochs=1"])
    assert (run.name, run.tuning.epochs, run.tuning.learning_rate) == ("one", 7, 0.001)
    assert run.tuning.schedule == "linear"
    assert run.fallback == Tuning(epochs=1)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n"])
def test_an_empty_file_is_the_defaults(file: Path, text: str) -> None:
    file.write_text(text)
    assert load_config(Run, file) == Run()


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("a=3", 3),
        ("a=1e-3", 0.001),
        ("a=-2E5", -200000.0),
        ("a=1.5", 1.5),
        ("a=true", True),
        ("a=null", None),
        ("a=", None),
        ("a=text with spaces", "text with spaces"),
        ("a=x=y", "x=y"),
        ("a=[q, v]", ["q", "v"]),
        ("a='3'", "3"),
        ("a=1e-3x", "1e-3x"),
    ],
)
def test_overrides_are_read_as_yaml(override: str, value: object) -> None:
    read = parse_overrides([override])["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("override", ["epochs", "=3", ".a=3", "a.=3", "a..b=3", "a=[1", "a=@x", ""])
def test_an_override_that_is_not_one_says_how_to_write_it(override: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_overrides([override])
    assert repr(override) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_override_cannot_reach_into_a_value() -> None:
    with pytest.raises(ConfigError, match=r"a.b is a value, not a group"):
        parse_overrides(["a.b=3", "a.b.c=4"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"nmae": "x"}, "nmae: no such setting; did you mean 'name'?"),
        ({"tuning": {"epoch": 3}}, "tuning.epoch: no such setting; did you mean 'epochs'?"),
        ({"fallback": {"epoch": 3}}, "fallback.epoch: no such setting; did you mean 'epochs'?"),
        ({"stages": [{}, {"shedule": "x"}]}, "stages.1.shedule: no such setting; did you mean 'schedule'?"),
        ({"tuning": {"epochs": 0}}, "tuning.epochs: input should be greater than or equal to 1, not 0"),
        ({"tuning": {"epochs": "three"}}, "tuning.epochs: input should be a valid integer"),
        ({"tuning": {"schedule": "liner"}}, "tuning.schedule: input should be 'linear' or 'constant', not 'liner'"),
        ({"tuning": 3}, "tuning: input should be a valid dictionary"),
        ({"name": "nameless"}, "settings: a run needs a name"),
        ({"zzz": 1}, "zzz: no such setting; known: name, tuning, fallback, stages"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(Run, given)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_many_wrong_settings_are_counted() -> None:
    with pytest.raises(ConfigError, match=r"and 2 more$"):
        build(Run, dict.fromkeys("abcde", 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [one", r"run.yaml:\d: not YAML"),
        ("name: one\nname: two\n", r"run.yaml:2: not YAML \('name' is given twice\)"),
        ("- one\n- two\n", r"run.yaml: must be 'setting: value' lines, not a list"),
        ("just words", r"run.yaml: must be 'setting: value' lines, not a str"),
        ("name: !!python/object/apply:os.getcwd []\n", r"run.yaml:1: not YAML"),
        ("name: one\n---\nname: two\n", r"run.yaml:2: not YAML"),
        ("a: \x00", "not YAML"),
        ("tuning:\n  epoch: 3\n", r"run.yaml: tuning.epoch: no such setting; did you mean 'epochs'\?"),
        ("1: 2\n", "keys should be strings"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        load_config(Run, file)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_says_why(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"run.yaml: cannot be read \(No such file"):
        load_config(Run, file)
    file.write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(Run, file)


@settings(max_examples=50)
@given(
    run=st.builds(
        Run,
        name=st.text().filter(lambda name: name != "nameless"),
        tuning=st.builds(
            Tuning,
            epochs=st.integers(1, 10**12),
            learning_rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
            layers=st.lists(st.text()).map(tuple),
        ),
        fallback=st.none() | st.just(Tuning(epochs=2)),
    )
)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, run: Run) -> None:
    file = tmp_path_factory.mktemp("config") / "run.yaml"
    write_config(file, run)
    assert load_config(Run, file) == run


def test_what_is_written_names_every_default() -> None:
    text = dump_config(Run())
    assert all(f"{name}:" in text for name in ("name", "epochs", "learning_rate", "schedule", "layers", "fallback"))


@settings(max_examples=100)
@given(text=st.text(max_size=40))
def test_any_override_is_a_setting_or_a_config_error(text: str) -> None:
    try:
        parsed = parse_overrides([text, f"a={text}"])
    except ConfigError:
        return
    assert isinstance(parsed, dict)
