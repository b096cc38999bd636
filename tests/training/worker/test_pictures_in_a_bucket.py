"""A training reads its pictures from a bucket, and waits while that is away."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from catdog.database import Database
from catdog.datasets import picture_bucket
from catdog.datasets.picture_bucket import PictureBucket
from catdog.errors import StoreUnavailable
from catdog.jobs.job import Status
from catdog.system import repeating
from tests.jobs import Place
from tests.object_store import Bucket


@pytest.fixture
def place(tmp_path: Path, database: Database, learned: Path, photos: Path, bucket: Bucket) -> Place:
    """The data set "pets" of 168 photos, in a bucket."""
    folder = Path(shutil.copytree(learned, tmp_path / "place"))
    shutil.rmtree(folder / "data" / "features")  # so that they must be read
    made = Place(folder, database, f"{bucket.url}/{tmp_path.name}")
    made.collect(photos, "pets")
    return made


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("strategy", ["head", pytest.param("finetune", marks=pytest.mark.whole)])
def test_a_training_waits_for_pictures_while_the_bucket_is_away(
    place: Place, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    read, waits = PictureBucket.read, 0
    away = ExitStack()

    def noted(self: PictureBucket, sha256: str) -> bytes:
        nonlocal waits
        try:
            return read(self, sha256)
        except StoreUnavailable:
            waits += 1
            away.close()
            raise

    monkeypatch.setattr(PictureBucket, "read", noted)
    monkeypatch.setattr(picture_bucket, "SPARED_SECONDS", 0.0)
    monkeypatch.setattr(repeating, "AWAY_SECONDS", 0.05)
    epochs = {} if strategy == "head" else {"epochs": 1}

    job = place.run(
        on_phase=lambda phase: away.enter_context(bucket.away()) if phase == "examining" and not waits else None,
        dataset="pets",
        strategy=strategy,
        promote="auto",
        **epochs,
    )

    assert waits > 0
    assert job.status is Status.SUCCEEDED, job.reason
    assert job.attempts == 1
    assert not (place.data_dir / "pictures").exists() or not list((place.data_dir / "pictures").glob("??/*"))
