"""Fitting a version's out-of-distribution detector, and measuring it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from catdog.errors import DatasetError
from catdog.versions.measurements import Unknown
from catdog.versions.ood import KEEP, Detector, of_length_1
from training.evaluation import ood
from training.evaluation.ood import Fitted

NONE = np.empty((0, 2), np.float32)
PHOTO = np.array([[1, 0]], np.float32)  # the photo that others are compared with


def similar(*similarities: float) -> np.ndarray:
    """Features of `photos` photos with this similarity to PHOTO; their lengths don't matter."""
    found = np.array(similarities)
    return np.array([7 * found, 7 * np.sqrt(1 - found**2)]).T.astype(np.float32)


def around(photos: int, seed: int = 0, size: int = 8) -> np.ndarray:
    """Features of photos of one kind."""
    return np.abs(np.random.default_rng(seed).normal(5, 1, (photos, size))).astype(np.float32)


def fitted(*similarities: float) -> Detector:
    """The detector set by new photos, each with this similarity to the single training photo."""
    found = ood.fit(PHOTO, np.zeros(1, int), similar(*similarities), np.zeros(1, bool))
    assert found is not None
    return found.detector


def of_training(photos: int) -> Fitted:
    """The detector of a head on photos of two classes, which also set the thresholds."""
    labels = np.arange(photos) % 2
    found = ood.fit(around(photos), labels, NONE.reshape(0, 8), np.ones(photos, bool))
    assert found is not None
    return found


@pytest.mark.parametrize("share", [0.8, KEEP])
@pytest.mark.parametrize("photos", [2, 5, 12, 58, 59, 100, 1178])
def test_that_share_of_later_photos_is_known_with_95_percent_certainty_however_few_set_it(
    photos: int, share: float
) -> None:
    """200 thresholds, each set by a number of photos of one kind; with few photos the limit is the distribution's."""
    random = np.random.default_rng(photos)

    def lost() -> float:
        found = fitted(*1 - np.exp(random.normal(np.log(0.3), 0.2, photos)))
        assert found.known.photos == photos
        assert found.known.neighbours is not None
        limit = found.threshold(share) * found.known.neighbours.usual_similarity
        return float(norm.sf(np.log(1 - limit), np.log(0.3), 0.2))

    drawn = np.array([lost() for _ in range(200)])

    assert (drawn <= 1 - share).mean() >= 0.90, "0.95, less three times the deviation of 200 draws"


def test_many_photos_leave_little_to_caution() -> None:
    found = fitted(*np.random.default_rng(0).beta(9, 2, 20_000)).known

    assert 0.95 < found.kept < 0.955


def test_the_more_are_to_be_kept_the_lower_the_threshold() -> None:
    found = fitted(*np.random.default_rng(0).beta(9, 2, 500))

    thresholds = [found.threshold(keep) for keep in (0.5, 0.8, 0.9, 0.95, 0.99, 1)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert len({*thresholds}) == 6


def test_one_photo_sets_no_threshold() -> None:
    assert fitted(0.9).threshold() == 0


def test_a_network_that_makes_nothing_of_photos_calls_none_unknown() -> None:
    nothing = np.array([[0, 0], [0, 0], [0, 0], [1, 0]], np.float32)

    assert ood.fit(PHOTO, np.zeros(1, int), nothing, np.zeros(1, bool)) is None


def test_photos_that_are_all_the_same_are_all_known() -> None:
    assert fitted(0.5, 0.5, 0.5).known.kept == 1


def test_without_photos_there_is_no_detector() -> None:
    none = np.zeros(0, int)

    assert ood.fit(NONE, none, NONE, np.zeros(0, bool)) is None
    assert ood.fit(NONE, none, PHOTO, np.zeros(0, bool)) is None
    assert ood.fit(PHOTO, np.zeros(1, int), NONE, np.ones(1, bool)) is None


@pytest.mark.parametrize("photos", [30, 60, 400])
def test_training_photos_that_set_the_threshold_are_compared_with_others(photos: int) -> None:
    """Otherwise each would be its own nearest photo and affect its own whitening, and later photos would be unknown."""
    labels, also = np.arange(photos) % 2, np.ones(photos, bool)
    found = ood.fit(around(photos, size=64), labels, NONE.reshape(0, 64), also)
    assert found is not None

    familiarity = found.detector.familiarity(around(2000, seed=1, size=64))

    assert found.detector.known.photos == len(found.familiarity) == photos
    assert (familiarity >= found.detector.threshold()).mean() > 0.9
    assert np.median(found.familiarity) == pytest.approx(1)


def test_directions_in_which_a_class_does_not_vary_count_the_more() -> None:
    """Photos of two classes vary only in the first two features; a photo of neither differs in the third."""
    chance, labels = np.random.default_rng(0), np.arange(200) % 2
    rows = np.column_stack(
        [3 + labels + 2 * chance.random(200), 3 - labels + 2 * chance.random(200), np.full(200, 0.5)]
    )
    training, known, other = np.split(np.vstack([rows, [[4, 3.5, 0.8]]]).astype(np.float32), [150, 200])

    bank = ood.bank_of(training, labels[:150])
    plain = replace(bank, whitening=np.eye(3, dtype=np.float32), features=of_length_1(training))

    for one, is_told in ((bank, True), (plain, False)):
        assert (one.similarities(other, 5) < one.similarities(known, 5).min()) == is_told


def test_photos_that_do_not_vary_are_not_whitened() -> None:
    assert np.array_equal(ood.whitening(np.ones((4, 3), np.float32), np.array([0, 0, 1, 1])), np.eye(3))


@pytest.mark.parametrize(("photos", "classes", "nearest"), [(1000, 2, 5), (40, 10, 2), (6, 5, 1), (4, 2, 1)])
def test_a_small_class_has_as_many_photos_as_are_looked_at(photos: int, classes: int, nearest: int) -> None:
    found = ood.fit(around(photos), np.arange(photos) % classes, NONE.reshape(0, 8), np.ones(photos, bool))

    assert found is not None
    assert found.detector.known.neighbours is not None
    assert found.detector.known.neighbours.nearest == nearest


def test_what_many_photos_set_stands_where_a_few_later_ones_do_not_contradict_it() -> None:
    earlier, strange = of_training(100).detector, np.eye(8, dtype=np.float32)

    assert earlier.threshold() > 0
    for later in (around(0), around(20, seed=2), np.concatenate([around(60, seed=3), strange[:1]])):
        assert ood.stands(earlier, later)
    for later in (strange, np.concatenate([around(60, seed=3), strange, strange]), around(100, seed=4)):
        assert not ood.stands(earlier, later)


def test_photos_of_neither_class_are_told_from_known_ones() -> None:
    by_length = Detector.of(Unknown(usual_length=10.0, threshold=0.8, photos=20, kept=0.95))
    known, neither = (np.outer(lengths, [0.6, 0.8]).astype(np.float32) for lengths in ([9, 10, 11, 7], [1, 7.5]))

    found = ood.compare(by_length, known, neither, "four photos")

    assert (found.photos, found.told, found.kept, found.data) == (2, 1.0, 0.75, "four photos")
    assert found.auroc == 7 / 8  # of the eight pairs only 7 and 7.5 are the other way round
    assert ood.measurement(found) == (
        "of 2 photos of none of the classes 100.0% are called unknown, and of four photos 25.0%; AUROC 0.875"
    )
    assert ood.with_measurement(by_length, found).known.neither == found


def test_every_visible_file_below_a_folder_is_a_photo_of_neither_class(tmp_path: Path) -> None:
    for name in ("a.jpg", "deep/b.jpg", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)

    assert [photo.name for photo in ood.photos_of_neither(tmp_path)] == ["a.jpg", "b.jpg"]


def test_a_folder_without_a_photo_of_neither_class_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="contains no photo"):
        ood.photos_of_neither(tmp_path / "nowhere")
