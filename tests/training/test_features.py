from pathlib import Path

import numpy as np
import pytest

from catdog.architecture import Architecture, Head
from catdog.errors import DatasetError
from tests.networks import random_arrays
from training import dataset, features
from training.dataset import Photo

TINY = Architecture(2, width=1 / 32)


def unexpected(photo: Photo, error: Exception) -> None:
    raise error


@pytest.fixture
def photos(split_photos: Path) -> tuple[Photo, ...]:
    return dataset.read(split_photos).splits["validation"]


@pytest.mark.parametrize("head", ["pooled", "classic"])
def test_a_known_photo_is_not_computed_again(
    head: Head, photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Architecture(2, width=1 / 32, head=head)
    arrays = random_arrays(network)
    _, first = features.outputs(photos, network, arrays, tmp_path, unexpected)
    monkeypatch.setattr(features, "OpenVINOEngine", None)  # whoever needs it now fails

    _, again = features.outputs(photos, network, arrays, tmp_path, unexpected)

    assert np.array_equal(again.logits, first.logits)
    assert np.array_equal(again.features, first.features)


def test_only_new_photos_are_computed(photos: tuple[Photo, ...], tmp_path: Path) -> None:
    arrays = random_arrays(TINY)
    features.outputs(photos[:5], TINY, arrays, tmp_path, unexpected)

    kept, mixed = features.outputs(photos, TINY, arrays, tmp_path, unexpected)
    _, alone = features.outputs(photos, TINY, arrays, tmp_path / "empty", unexpected)

    assert kept == photos
    assert np.array_equal(mixed.features, alone.features)


def test_another_backbone_has_other_features_and_another_head_the_same(
    photos: tuple[Photo, ...], tmp_path: Path
) -> None:
    arrays = random_arrays(TINY)
    _, first = features.outputs(photos, TINY, arrays, tmp_path, unexpected)

    other_head = arrays | {"predictions/bias": np.array([5, 5], np.float32)}
    _, shared = features.outputs(photos, TINY, other_head, tmp_path, unexpected)
    _, other = features.outputs(photos, TINY, random_arrays(TINY, seed=1), tmp_path, unexpected)

    assert np.array_equal(shared.features, first.features)
    assert not np.array_equal(shared.logits, first.logits)
    assert not np.array_equal(other.features, first.features)
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    reported = []

    with pytest.raises(DatasetError, match="not one of the 1 photos"):
        features.outputs(
            [Photo(tmp_path / "text.jpg", 0, "0" * 64)],
            TINY,
            random_arrays(TINY),
            tmp_path,
            lambda photo, error: reported.append(photo.path.name),
        )
    assert reported == ["text.jpg"]


def test_a_damaged_cache_is_an_error_that_names_the_file(photos: tuple[Photo, ...], tmp_path: Path) -> None:
    arrays = random_arrays(TINY)
    features.outputs(photos[:1], TINY, arrays, tmp_path, unexpected)
    (file,) = tmp_path.glob("*.sqlite")
    file.write_bytes(b"no database" * 100)

    with pytest.raises(OSError, match=file.name):
        features.outputs(photos, TINY, arrays, tmp_path, unexpected)
