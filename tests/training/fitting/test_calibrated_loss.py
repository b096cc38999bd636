import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax

from training.evaluation import temperature_scaling
from training.fitting.loop import CalibratedLogLoss

PHOTOS = 500


def answers(sureness: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits of five classes, (PHOTOS, 5), that are right two times in three, and the labels (PHOTOS,)."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, PHOTOS)
    logits = random.normal(size=(PHOTOS, 5))
    logits[np.arange(PHOTOS), labels] += 1.5
    return (sureness * logits).astype(np.float32), labels


def by_metric(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    metric = CalibratedLogLoss()
    one_hot = np.eye(logits.shape[1], dtype=np.float32)[labels]
    for start in range(0, len(labels), 64):
        metric.update_state(one_hot[start : start + 64], logits[start : start + 64])
    return float(keras.ops.convert_to_numpy(metric.result()))


@pytest.mark.parametrize("sureness", [0.5, 1.0, 4.0])
def test_it_is_the_log_loss_at_the_temperature_that_calibration_chooses(sureness: float) -> None:
    logits, labels = answers(sureness)
    temperature = temperature_scaling.temperature(logits, labels)
    expected = -log_softmax(logits / temperature, axis=1)[np.arange(PHOTOS), labels].mean()

    assert by_metric(logits, labels) == pytest.approx(expected, abs=2e-3)


def test_a_network_that_is_too_sure_of_itself_is_no_worse_for_it() -> None:
    assert by_metric(*answers(4.0)) == pytest.approx(by_metric(*answers(1.0)), abs=2e-3)


def test_a_few_photos_that_are_all_right_are_no_proof_of_certainty() -> None:
    logits = np.array([[3.0, 0.0], [0.0, 3.0]], np.float32)

    assert by_metric(logits, np.array([0, 1])) > -log_softmax([3.0 / 0.25, 0.0])[0]
