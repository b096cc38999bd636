from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from catdog.errors import DatasetError
from catdog.manifest import Unknown
from training import unknown


def of_lengths(*lengths: float) -> np.ndarray:
    """Features of so many photos, with these lengths."""
    return np.outer(lengths, [0.6, 0.8]).astype(np.float32)


@pytest.mark.parametrize("photos", [2, 5, 12, 58, 59, 100, 1178])
def test_95_of_100_later_photos_are_known_with_95_percent_certainty_however_few_set_the_threshold(photos: int) -> None:
    """Of 400 thresholds set by so many photos of one kind; with few photos the limit is that of their distribution."""
    random = np.random.default_rng(photos)

    def lost() -> float:
        found = unknown.fit(of_lengths(*random.normal(12, 2, photos)))
        assert found is not None
        assert found.photos == photos
        return float(norm.cdf(found.threshold * found.usual_length, 12, 2))

    drawn = np.array([lost() for _ in range(400)])

    assert (drawn <= 0.05).mean() >= 0.92, "0.95, less three times the deviation of 400 draws"


def test_many_photos_leave_little_to_caution() -> None:
    found = unknown.fit(of_lengths(*np.random.default_rng(0).gamma(9, 2, 20_000)))

    assert found is not None
    assert 0.95 < found.kept < 0.955


def test_one_photo_sets_no_threshold() -> None:
    found = unknown.fit(of_lengths(3))

    assert found is not None
    assert found.threshold == 0


def test_a_network_that_makes_nothing_of_photos_calls_none_unknown() -> None:
    assert unknown.fit(of_lengths(0, 0, 0, 1)) is None


def test_photos_that_are_all_the_same_are_all_known() -> None:
    found = unknown.fit(of_lengths(2, 2, 2))

    assert found is not None
    assert found.kept == 1


EARLIER = Unknown(usual_length=10.0, threshold=0.5, photos=100, kept=0.95)


@pytest.mark.parametrize("lengths", [[], [9.0], [9.0, 4.0], [10.0] * 90 + [4.0] * 8])
def test_what_was_set_earlier_by_more_photos_stands_where_later_ones_do_not_contradict_it(lengths: list[float]) -> None:
    assert unknown.settled(of_lengths(*lengths).reshape(-1, 2), EARLIER) == EARLIER


@pytest.mark.parametrize("lengths", [[4.0, 4.5], [10.0] * 60 + [4.0] * 10, [12.0] * 100])
def test_photos_that_contradict_it_or_are_as_many_set_it_themselves(lengths: list[float]) -> None:
    features = of_lengths(*lengths)

    found = unknown.settled(features, EARLIER)

    assert found == unknown.fit(features) != EARLIER


def test_without_photos_and_without_an_earlier_threshold_nothing_is_known() -> None:
    assert unknown.settled(of_lengths().reshape(-1, 2), None) is None


def test_photos_of_neither_class_are_told_from_known_ones() -> None:
    fitted = unknown.fit(of_lengths(*[10] * 19, 8))
    assert fitted is not None

    found = unknown.compare(fitted, of_lengths(9, 10, 11, 7), of_lengths(1, 7.5), "four photos")

    assert (found.photos, found.told, found.kept, found.data) == (2, 1.0, 0.75, "four photos")
    assert found.auroc == 7 / 8  # of the eight pairs only 7 and 7.5 are the other way round
    assert unknown.told(found) == (
        "of 2 photos of none of the classes 100.0% are called unknown, and of four photos 25.0%; AUROC 0.875"
    )


def test_every_visible_file_below_a_folder_is_a_photo_of_neither_class(tmp_path: Path) -> None:
    for name in ("a.jpg", "deep/b.jpg", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)

    assert [photo.name for photo in unknown.photos_of_neither(tmp_path)] == ["a.jpg", "b.jpg"]


def test_a_folder_without_a_photo_of_neither_class_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no photo"):
        unknown.photos_of_neither(tmp_path / "nowhere")
