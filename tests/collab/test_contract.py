"""Every model found in the package keeps to the contract."""

from __future__ import annotations

import pytest

from tastemaker.collab import CollaborativeModel, models
from tastemaker.testing.collab import CollaborativeModelContract


class TestEveryModel(CollaborativeModelContract):
    @pytest.fixture(scope="class", params=models.names())
    @classmethod
    def make(cls, request: pytest.FixtureRequest) -> type[CollaborativeModel]:
        return models.get(request.param)


def test_all_six_are_found() -> None:
    assert set(models.names()) >= {"caser", "cooccurrence", "ensemble", "gru4rec", "popularity", "sasrec"}
