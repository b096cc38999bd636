import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from catdog.versions.calibration import probabilities

logits_of_photos = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=5),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)


@given(logits_of_photos, st.floats(0.01, 100))
def test_rows_are_probabilities_however_large_the_logits(logits: NDArray[np.float32], temperature: float) -> None:
    found = probabilities(logits, temperature)

    assert found.dtype == np.float64
    assert found.shape == logits.shape
    assert (found >= 0).all()
    assert np.abs(found.sum(axis=1) - 1).max() <= 1e-12


@given(logits_of_photos, st.floats(0.01, 100))
def test_the_largest_logit_keeps_the_largest_probability(logits: NDArray[np.float32], temperature: float) -> None:
    found = probabilities(logits, temperature)

    rows = np.arange(len(logits))
    assert (found[rows, logits.argmax(axis=1)] == found.max(axis=1)).all()


def test_a_difference_of_log_3_is_three_to_one() -> None:
    logits = np.array([[5, 5 + np.log(3)]])

    assert probabilities(logits, 1.0) == pytest.approx(np.array([[0.25, 0.75]]), abs=1e-15)


def test_a_higher_temperature_makes_less_sure() -> None:
    logits = np.array([[0, 2 * np.log(3)]], np.float32)

    assert probabilities(logits, 2.0)[0, 1] == pytest.approx(0.75)
    assert probabilities(logits, 1.0)[0, 1] == pytest.approx(0.9)


def test_no_photos_have_no_probabilities() -> None:
    assert probabilities(np.empty((0, 2), np.float32), 1.0).shape == (0, 2)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be above 0"):
        probabilities(np.zeros((1, 2), np.float32), temperature)
