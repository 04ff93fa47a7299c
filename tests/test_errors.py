"""The tree in the docstring of `errors` is the tree that there is."""

from __future__ import annotations

import inspect

import pytest

from tastemaker import errors


def classes() -> list[type[errors.TastemakerError]]:
    return [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.TastemakerError)]


def test_there_are_errors() -> None:
    assert len(classes()) >= 10


@pytest.mark.parametrize("error", classes())
def test_the_tree_shows_every_error_with_its_exit_code(error: type[errors.TastemakerError]) -> None:
    line = next(line for line in (errors.__doc__ or "").splitlines() if f" {error.__name__} " in f" {line} ")
    assert f"exit {error.exit_code}" in line
    assert (error.exit_code == 2) == issubclass(error, errors.UsageError | errors.ArtifactError)


def test_a_data_error_names_file_and_line() -> None:
    assert str(errors.DataError("no rating", "ratings.csv", 417)) == "ratings.csv:417: no rating"
    assert str(errors.DataError("no rating", "ratings.csv")) == "ratings.csv: no rating"
    assert str(errors.DataError("no rating")) == "no rating"


def test_an_unknown_name_offers_the_nearest() -> None:
    assert str(errors.UnknownNameError("model", "SASRek", ["gru4rec", "sasrec"])) == (
        "no model named 'SASRek'; did you mean 'sasrec'?"
    )
    assert str(errors.UnknownNameError("model", "zzz", ["b", "a"])).endswith("known: a, b")
