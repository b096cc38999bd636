import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import log_loss

from catdog.versions.calibration import Calibration, probabilities
from training.evaluation.temperature_scaling import HIGHEST, LOWEST, MOST_DOUBT, fit, noise, temperature


@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_that_the_labels_were_drawn_with_is_found(true: float, classes: int) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 3 * true, (20_000, classes))
    drawn = probabilities(logits, true).cumsum(axis=1) < random.random((20_000, 1))
    assert temperature(logits, drawn.sum(axis=1)) == pytest.approx(true, rel=0.03)


def test_no_other_temperature_has_a_lower_log_loss() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 2000)
    logits = 9 * (np.eye(3)[labels] + random.normal(0, 0.5, (2000, 3)))
    found = temperature(logits, labels)
    losses = [log_loss(labels, probabilities(logits, found * factor)) for factor in (0.9, 1.0, 1.1)]
    assert min(losses) == losses[1]


def test_a_few_photos_without_a_mistake_hardly_move_it() -> None:
    logits = np.array([[4.0, -1.0], [-1.0, 3.0], [2.0, 0.0]], np.float32)
    assert 0.7 < temperature(logits, np.array([0, 1, 0])) < 1


def test_many_photos_without_a_mistake_make_it_surer_within_reason() -> None:
    labels = np.arange(1000) % 2
    assert LOWEST < temperature(np.eye(2)[labels], labels) < 0.3


@pytest.mark.parametrize("photos", [0, 1, 50])
def test_logits_that_are_all_the_same_leave_it_at_one(photos: int) -> None:
    assert temperature(np.full((photos, 2), 7.0), np.arange(photos) % 2) == pytest.approx(1, abs=1e-3)


def test_answers_sure_and_always_wrong_stop_at_the_highest() -> None:
    labels = np.arange(100) % 2
    assert temperature(1e6 * np.eye(2)[1 - labels], labels) == pytest.approx(HIGHEST, rel=1e-4)


@given(arrays(np.float32, (4, 3), elements=st.floats(-1e4, 1e4, width=32)))
def test_any_logits_give_a_temperature_in_range(logits: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    assert LOWEST <= temperature(logits, np.array([0, 1, 2, 0])) <= HIGHEST


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize(("photos", "doubt"), [(0, MOST_DOUBT), (20, MOST_DOUBT), (998, 0.001)])
def test_the_surest_answer_has_as_much_doubt_as_the_photos_leave(photos: int, doubt: float, classes: int) -> None:
    surest = Calibration(1.0, noise(photos, classes)).probabilities(1000.0 * np.eye(classes)[:1])

    assert surest.max() == pytest.approx(1 - doubt)
    assert surest.sum() == pytest.approx(1.0)


def test_one_photo_under_a_wrong_label_does_not_outweigh_a_thousand_right_ones() -> None:
    logits = np.tile([20.0, -20.0], (1000, 1))
    labels = np.zeros(1000, np.int64)
    found = fit(logits, labels)
    labels[0] = 1

    assert log_loss(labels, found.probabilities(logits)) < 0.01 < log_loss(labels, probabilities(logits, 1.0))
