import numpy as np
import pytest

from training.evaluation.metrics import histogram


def test_a_histogram_has_ten_bins_of_as_many_photos_each() -> None:
    found = histogram(np.random.default_rng(0).normal(size=1000))

    assert found.photos == (100,) * 10


@pytest.mark.parametrize(("photos", "bins"), [(1, 2), (12, 2), (25, 5), (49, 9), (50, 10)])
def test_few_photos_have_fewer_bins(photos: int, bins: int) -> None:
    found = histogram(np.arange(photos, dtype=float))

    assert len(found.photos) == bins
    assert sum(found.photos) == photos


def test_every_value_is_in_the_bin_that_it_was_counted_in() -> None:
    values = np.random.default_rng(0).integers(0, 9, 200).astype(float)  # many are equal, some to an edge

    found = histogram(values)

    assert tuple(np.bincount([found.bin_of(value) for value in values])) == found.photos


def test_values_that_are_all_the_same_share_a_bin() -> None:
    found = histogram(np.ones(100))

    assert (found.edges, found.photos) == ((1.0,), (0, 100))
