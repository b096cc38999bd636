"""What tests of every package share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The photos beside the repository, which are never part of it."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs photos that are no part of the repository, and {folder} is missing")
    return folder
