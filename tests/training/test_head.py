import numpy as np
import pytest
from sklearn.metrics import log_loss

from catdog import calibration
from catdog import head as linear
from training import head


def clouds(classes: int, photos: int, seed: int, apart: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Features around a centre a class, on scales that differ as those of a network do."""
    chance = np.random.default_rng(seed)
    labels = np.arange(photos) % classes
    centres = np.random.default_rng(99).normal(0, apart, (classes, 12))
    scales = 10.0 ** np.random.default_rng(98).uniform(-2, 2, 12)
    return ((centres[labels] + chance.normal(0, 1, (photos, 12))) * scales).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_head_tells_separable_classes_apart(classes: int) -> None:
    arrays = head.fit(clouds(classes, 300, 0), clouds(classes, 100, 1), classes)
    features, labels = clouds(classes, 200, 2)

    assert arrays["predictions/kernel"].shape == (12, classes)
    assert arrays["predictions/bias"].shape == (classes,)
    assert (linear.logits(features, arrays).argmax(axis=1) == labels).mean() > 0.97


def test_the_same_features_give_the_same_head() -> None:
    first, second = (head.fit(clouds(2, 200, 0), clouds(2, 100, 1), 2) for _ in range(2))

    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_probabilities_of_overlapping_classes_are_honest() -> None:
    """On clouds that overlap the fitted head is about as good as knowing the clouds."""
    arrays = head.fit(clouds(2, 2000, 0, apart=0.3), clouds(2, 1000, 1, apart=0.3), 2)
    features, labels = clouds(2, 4000, 2, apart=0.3)
    probabilities = calibration.probabilities(linear.logits(features, arrays), 1.0)

    sure = probabilities.max(axis=1)
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    assert abs(sure.mean() - accuracy) < 0.05
    assert log_loss(labels, probabilities) < log_loss(labels, np.full_like(probabilities, 0.5))


def test_logits_do_not_depend_on_the_batch() -> None:
    features, _ = clouds(2, 64, 0)
    arrays = head.fit(clouds(2, 200, 0), clouds(2, 100, 1), 2)

    together = linear.logits(features, arrays)
    alone = np.concatenate([linear.logits(row[None], arrays) for row in features])

    assert np.allclose(together, alone, rtol=1e-7, atol=1e-6)
