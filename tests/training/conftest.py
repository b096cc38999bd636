"""Fixtures of the trainer's tests."""

import shutil
from pathlib import Path

import pytest

from catdog.database import Database
from tests.jobs import Place
from tests.photos import draw_splits
from tests.training.cli.shop import Shop


@pytest.fixture(scope="module", autouse=True)
def _no_https(no_https: None) -> None:
    """A training on other classes than the champion's would download ImageNet's weights."""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.whole)])
def database_kind(request: pytest.FixtureRequest) -> str:
    """As elsewhere; trainings take long, so `make test` runs them with one kind."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_splits(tmp_path_factory.mktemp("photos"), 48, 6, 30)


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder with a store of one version."""
    folder = tmp_path_factory.mktemp("learned")
    Place(folder, Database.of(folder)).learn(photos)
    return folder


@pytest.fixture
def place(tmp_path: Path, database: Database, learned: Path, photos: Path) -> Place:
    """The same, and the data set "pets" of 168 photos."""
    made = Place(Path(shutil.copytree(learned, tmp_path / "place")), database)
    made.collect(photos, "pets")
    return made
