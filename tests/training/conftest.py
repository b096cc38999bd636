"""Fixtures of the trainer's tests."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _no_https(no_https: None) -> None:
    """A training on other classes than the champion's would download ImageNet's weights."""
