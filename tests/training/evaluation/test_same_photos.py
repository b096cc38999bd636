"""Two versions on the same photos: which photos count, and what the numbers are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from catdog.errors import DatasetError
from catdog.versions.store import Store
from tests.app.service import publish
from tests.observers import Recorder
from tests.photos import draw_set
from training.data import dataset, trained_on
from training.data.dataset import Photo
from training.data.features import FeatureExtractor
from training.data.trained_on import TrainedOn
from training.evaluation import same_photos
from training.evaluation.same_photos import Compared

Compare = Callable[..., Compared]
KINDS = ("cat", "dog", "fish")


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Photo, ...]:
    """Six photos of each of three classes."""
    return dataset.read_split(draw_set(tmp_path / "photos", 6, KINDS), KINDS)


@pytest.fixture
def compare(tmp_path: Path, photos: tuple[Photo, ...]) -> Compare:
    """Compares versions 1 and 2 on these photos, by default on all."""
    store = Store(tmp_path / "models")
    looked: list[int] = []

    def compare(some: tuple[Photo, ...] = photos) -> Compared:
        extractor = FeatureExtractor(tmp_path / "features", Recorder().skipped)
        found = same_photos.compare((store.open(1), store.open(2)), KINDS, some, "the photos", extractor, looked.append)
        assert looked == [0, 1]
        return found

    return compare


def test_only_photos_of_classes_that_both_know_count(tmp_path: Path, compare: Compare) -> None:
    publish(tmp_path / "models", ("Cat", "dog"))
    publish(tmp_path / "models", ("cat", "dog", "fish"), seed=8)

    found = compare().found

    assert (found.classes, found.photos) == (["cat", "dog"], 12)
    assert [set(each.recall) for each in found.metrics] == [{"cat", "dog"}] * 2


def test_a_version_with_more_classes_may_be_wrong_with_one_of_them(tmp_path: Path, compare: Compare) -> None:
    publish(tmp_path / "models", ("cat", "dog"))
    publish(tmp_path / "models", ("cat", "dog", "fish"), seed=3)

    found = compare()

    said = {answer.label for photo in found.photos for answer in photo.answers}
    assert "fish" in said
    assert found.found.metrics[1].accuracy < 1


def test_photos_that_one_was_trained_on_do_not_count(
    tmp_path: Path, compare: Compare, photos: tuple[Photo, ...]
) -> None:
    known = TrainedOn.nothing().and_on(photos[:2], np.arange(2, dtype=np.uint64), of_backbone=True)
    publish(tmp_path / "models", ("cat", "dog"))
    publish(tmp_path / "models", ("cat", "dog"), head_seed=8)
    trained_on.write(tmp_path / "models" / "2" / trained_on.FILE, known)

    found = compare().found

    assert (found.photos, found.left_out, found.doubtful) == (10, 2, [1])


def test_a_version_against_its_copy_shows_no_difference(tmp_path: Path, compare: Compare) -> None:
    publish(tmp_path / "models", ("cat", "dog"))
    publish(tmp_path / "models", ("cat", "dog"))

    found, different = compare()

    assert (found.difference, found.only_first, found.only_second, found.chance, different) == (0, 0, 0, 1, [])
    assert found.difference_low == -found.difference_high < -0.1, "twelve photos can't show that there is none"


def test_without_a_photo_that_both_know_there_is_no_comparison(tmp_path: Path, compare: Compare) -> None:
    publish(tmp_path / "models", ("cat", "dog"))
    publish(tmp_path / "models", ("fish", "hamster"))

    with pytest.raises(DatasetError, match=r"version 1 knows cat, dog and version 2 knows fish, hamster"):
        compare()
