"""The measures that decision 14 compares."""

import numpy as np
import pytest

from benchmarks.experiments.ood_measures import BANKS, MEASURES, Fitted

CHANCE = np.random.default_rng(0)
LABELS = np.arange(60) % 2
DIRECTIONS = np.eye(12)[:3] * 5  # of two classes, and of photos of neither


def photos(directions: np.ndarray) -> np.ndarray:
    """Features, one row a direction."""
    return np.asarray(directions + CHANCE.random(directions.shape))


FIT = Fitted(photos(DIRECTIONS[LABELS]), LABELS, np.eye(12)[:, :2], np.zeros(2))


@pytest.mark.parametrize("name", MEASURES)
def test_known_photos_are_more_like_the_classes_than_others(name: str) -> None:
    known = MEASURES[name](FIT, photos(DIRECTIONS[LABELS]))
    others = MEASURES[name](FIT, photos(DIRECTIONS[np.full(20, 2)]))

    assert known.shape == (60,)
    assert np.isfinite([*known, *others]).all()
    if name != "length of the features":  # which is the same for both here
        assert np.median(known) > np.median(others)


@pytest.mark.parametrize("name", BANKS)
def test_a_bank_is_some_of_the_training_photos(name: str) -> None:
    found = BANKS[name](FIT, 10, np.random.default_rng(0))

    assert 5 <= len(found.features) == len(found.labels) <= 10
    assert {row.tobytes() for row in found.features} <= {row.tobytes() for row in FIT.features}
