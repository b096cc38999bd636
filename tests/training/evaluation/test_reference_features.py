from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pytest

from catdog.errors import WeightsError
from catdog.network import weights
from catdog.versions.store import SHIPPED, Store
from tests.places import ROOT
from training.evaluation import reference_features
from training.evaluation.reference_features import Reference

PHOTOS = tuple(sha256(bytes([number])).hexdigest() for number in range(5))
KEPT = Reference(
    ("cat", "dog"),
    "b" * 64,
    PHOTOS,
    np.arange(15, dtype=np.float32).reshape(5, 3),
    np.array([0, 1, 0, 1, 1]),
    np.arange(5, dtype=np.uint64),
)


def same(one: Reference, other: Reference) -> bool:
    arrays = ((each.features, each.labels, each.pictures) for each in (one, other))
    return all(map(np.array_equal, *arrays)) and (one.classes, one.backbone, one.photos) == (
        other.classes,
        other.backbone,
        other.photos,
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    reference_features.write(tmp_path / "kept.h5", KEPT)

    assert same(reference_features.read(tmp_path / "kept.h5"), KEPT)


def test_the_same_content_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("first.h5", "second.h5"):
        reference_features.write(tmp_path / name, KEPT)

    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "second.h5").read_bytes()


def test_some_of_the_photos_can_be_left_out() -> None:
    left = KEPT.only(np.array([False, True, True, False, True]))

    assert left.photos == PHOTOS[1:3] + PHOTOS[4:]
    assert left.pictures.tolist() == [1, 2, 4]
    assert np.array_equal(left.features, KEPT.features[[1, 2, 4]])
    assert KEPT.only(np.zeros(5, bool)).photos == ()


def test_a_file_of_an_earlier_catdog_has_no_pictures_to_be_like(tmp_path: Path) -> None:
    reference_features.write(tmp_path / "kept.h5", KEPT)
    with h5py.File(tmp_path / "kept.h5", "a") as file:
        del file["pictures"]

    assert not reference_features.read(tmp_path / "kept.h5").pictures.any()


def test_a_file_that_is_cut_short_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "kept.h5"
    reference_features.write(file, KEPT)
    file.write_bytes(file.read_bytes()[:1000])

    with pytest.raises(WeightsError, match=r"kept\.h5"):
        reference_features.read(file)


def test_the_shipped_version_comes_with_the_features_of_its_test_photos() -> None:
    version = Store(ROOT / "models").open(SHIPPED)
    kept = reference_features.read(version.path / reference_features.FILE)

    assert kept.classes == version.manifest.classes
    assert kept.backbone == weights.backbone_fingerprint(version.manifest.architecture, version.load())
    assert kept.features.shape == (version.manifest.metrics["test"].photos, version.manifest.architecture.features)
    assert len(set(kept.photos)) == len(kept.photos) == len(kept.labels)
