"""The out-of-distribution detector of a version: by similarity, and by length in earlier versions of catdog."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from catdog.versions.measurements import Histogram, Neighbours, Unknown
from catdog.versions.ood import Bank, Detector

BANK = Bank(np.eye(2, dtype=np.float32), np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], np.float32))
OF_EARLIER = Unknown(usual_length=5.0, threshold=0.5, photos=100, kept=0.95)


def by_similarity(nearest: int = 2, usual: float = 0.8) -> Detector:
    """A detector that compares with the three photos of BANK."""
    neighbours = Neighbours(sha256="0" * 64, bytes=140, photos=3, nearest=nearest, usual_similarity=usual)
    thresholds = ((0.5, 1.0), (0.9, 0.9), (0.95, 0.5))
    known = Unknown(neighbours=neighbours, threshold=0.5, photos=100, kept=0.95, thresholds=thresholds)
    return Detector.of(known, BANK)


@pytest.mark.parametrize(("nearest", "similarity"), [(1, 1.0), (2, 0.8), (3, 0.6)])
def test_a_photo_is_as_familiar_as_it_is_similar_to_its_kth_nearest(nearest: int, similarity: float) -> None:
    """For any length of its features, which have the direction of the first photo's."""
    found = by_similarity(nearest, usual=0.5).familiarity(np.array([[0.1, 0], [70, 0]], np.float32))

    assert found.tolist() == pytest.approx([2 * similarity, 2 * similarity])


def test_a_photo_without_any_feature_is_like_none() -> None:
    assert by_similarity().familiarity(np.zeros((1, 2), np.float32)).tolist() == [0]


@pytest.mark.parametrize(("keep", "threshold"), [(0.5, 1.0), (0.7, 0.95), (0.9, 0.9), (0.95, 0.5), (0.99, 0.1), (1, 0)])
def test_a_threshold_for_any_share_lies_between_those_that_were_measured(keep: float, threshold: float) -> None:
    assert by_similarity().threshold(keep) == pytest.approx(threshold)


def test_no_photo_is_unknown_where_all_are_to_be_kept() -> None:
    assert by_similarity().judged(np.zeros((1, 2), np.float32), keep=1) == (0, False)


def test_a_version_of_an_earlier_catdog_goes_by_the_length_of_features() -> None:
    features = np.array([[3, 4], [0, 0], [6, 8]], np.float32)

    assert Detector.of(OF_EARLIER).familiarity(features).tolist() == [1, 0, 2]


@pytest.mark.parametrize(("length", "is_unknown"), [(2.4, True), (2.5, False), (2.6, False)])
def test_a_photo_is_unknown_below_the_threshold(length: float, is_unknown: bool) -> None:
    familiarity, found = Detector.of(OF_EARLIER).judged(np.array([[length, 0]], np.float32))

    assert familiarity == pytest.approx(length / 5)
    assert found is is_unknown


def test_a_version_of_an_earlier_catdog_has_thresholds_for_other_shares_from_its_histogram() -> None:
    """Its lowest edge is below the threshold that more photos set, and is ignored."""
    usual = Histogram(edges=(0.4, 0.7, 0.9), photos=(2, 8, 10, 80))

    found = Detector.of(OF_EARLIER, usual=usual)

    assert [found.threshold(keep) for keep in (0.8, 0.9, 0.95)] == pytest.approx([0.9, 0.7, 0.5])
    assert found.threshold(0.98) == pytest.approx(0.2)
    assert Detector.of(OF_EARLIER).threshold(0.8) == 0.5


def test_features_are_whitened_before_they_are_compared() -> None:
    """Here the first feature varies little within the classes, so it gets four times the weight."""
    stretched = Bank(np.diag([4, 1]).astype(np.float32), BANK.features)
    photo = np.array([[0.3, 4 * 0.4]], np.float32)

    assert stretched.whitened(photo) == pytest.approx(np.array([[0.6, 0.8]]))
    assert stretched.similarities(photo, 1) == pytest.approx([1])
    assert stretched.similarities(np.concatenate([photo, photo]), 1) == pytest.approx([1, 1])


def test_a_photo_that_points_elsewhere_is_not_less_familiar_than_nothing() -> None:
    assert BANK.similarities(np.array([[-1, 0]], np.float32), 1).tolist() == [0]


def test_a_bank_of_other_photos_is_no_bank() -> None:
    known = by_similarity().known

    for bank in (None, replace(BANK, features=BANK.features[:2])):
        with pytest.raises(ValueError, match="doesn't hold the features of 3 photos"):
            Detector.of(known, bank)


def test_a_bank_is_kept_in_half_precision_and_its_bytes_are_always_the_same(tmp_path: Path) -> None:
    data = BANK.encoded()

    (tmp_path / "file.h5").write_bytes(data)
    with h5py.File(tmp_path / "file.h5") as file:
        whitening, features = file["whitening"][()], file["features"][()]
    assert whitening.dtype == features.dtype == np.float16
    assert np.array_equal(whitening, BANK.whitening)
    assert np.abs(features - BANK.features).max() < 1e-3
    assert data == BANK.encoded()
