"""What tests of every package share."""

from pathlib import Path

import pytest

from tests.photos import draw_set


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The photos beside the repository, which are never part of it."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs photos that are no part of the repository, and {folder} is missing")
    return folder


@pytest.fixture(scope="session")
def split_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 cats and dogs to train on, 6 to validate with, 4 to test."""
    root = tmp_path_factory.mktemp("photos")
    for place, (split, photos) in enumerate((("train", 16), ("validation", 6), ("test", 4))):
        draw_set(root / split, photos, first=1000 * place)
    return root
