from pathlib import Path

import numpy as np
import pytest

from catdog.errors import DatasetError
from training import unknown


def of_lengths(*lengths: float) -> np.ndarray:
    """Features of so many photos, with these lengths."""
    return np.outer(lengths, [0.6, 0.8]).astype(np.float32)


@pytest.mark.parametrize("photos", [3, 12, 100, 1178])
def test_at_least_95_of_100_validation_photos_are_known_and_hardly_more(photos: int) -> None:
    lengths = np.random.default_rng(photos).gamma(9, 2, photos)

    found = unknown.fit(of_lengths(*lengths))

    assert found is not None
    assert found.photos == photos
    assert 0.95 <= found.kept < 0.95 + 1 / photos + 1e-9
    assert found.usual_length == pytest.approx(np.median(lengths))


def test_a_network_that_makes_nothing_of_photos_calls_none_unknown() -> None:
    assert unknown.fit(of_lengths(0, 0, 0, 1)) is None


def test_photos_that_are_all_the_same_are_all_known() -> None:
    found = unknown.fit(of_lengths(2, 2, 2))

    assert found is not None
    assert found.kept == 1


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
