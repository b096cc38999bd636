"""Fixtures of the trainer's tests."""

from pathlib import Path

import pytest

from tests.training.cli.shop import Shop


@pytest.fixture(scope="module", autouse=True)
def _no_https(no_https: None) -> None:
    """A training on other classes than the champion's would download ImageNet's weights."""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
