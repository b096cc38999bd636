import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import sem
from sklearn.metrics import log_loss

from catdog.network import head as linear
from catdog.system import resources
from catdog.versions import calibration
from training.evaluation import temperature_scaling
from training.fitting import linear_head


def clouds(classes: int, photos: int, seed: int, apart: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Features around one centre per class, with different scales like a network's."""
    chance = np.random.default_rng(seed)
    labels = np.arange(photos) % classes
    centres = np.random.default_rng(99).normal(0, apart, (classes, 12))
    scales = 10.0 ** np.random.default_rng(98).uniform(-2, 2, 12)
    return ((centres[labels] + chance.normal(0, 1, (photos, 12))) * scales).astype(np.float32), labels


def unseen(fitted: linear_head.Fitted) -> np.ndarray:
    assert fitted.logits is not None
    return fitted.logits


def loss(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    return float(log_loss(labels, calibration.probabilities(logits, temperature)))


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_head_tells_separable_classes_apart(classes: int) -> None:
    arrays, _ = linear_head.fit(clouds(classes, 300, 0), classes)
    features, labels = clouds(classes, 200, 2)

    assert arrays["predictions/kernel"].shape == (12, classes)
    assert arrays["predictions/bias"].shape == (classes,)
    assert (linear.logits(features, arrays).argmax(axis=1) == labels).mean() > 0.97


def test_the_same_features_give_the_same_head() -> None:
    first, second = (linear_head.fit(clouds(2, 200, 0), 2) for _ in range(2))

    assert all(np.array_equal(first.arrays[name], second.arrays[name]) for name in first.arrays)
    assert np.array_equal(unseen(first), unseen(second))


def test_probabilities_of_overlapping_classes_are_honest() -> None:
    """On clouds that overlap the fitted head is about as good as knowing the clouds."""
    arrays, _ = linear_head.fit(clouds(2, 2000, 0, apart=0.3), 2)
    features, labels = clouds(2, 4000, 2, apart=0.3)
    probabilities = calibration.probabilities(linear.logits(features, arrays), 1.0)

    sure = probabilities.max(axis=1)
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    assert abs(sure.mean() - accuracy) < 0.05
    assert log_loss(labels, probabilities) < log_loss(labels, np.full_like(probabilities, 0.5))


def test_logits_do_not_depend_on_the_batch() -> None:
    features, _ = clouds(2, 64, 0)
    arrays, _ = linear_head.fit(clouds(2, 200, 0), 2)

    together = linear.logits(features, arrays)
    alone = np.concatenate([linear.logits(row[None], arrays) for row in features])

    assert np.allclose(together, alone, rtol=1e-7, atol=1e-6)


def test_the_logits_are_of_heads_that_had_not_seen_the_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    """On noise a head with a weak penalty memorises every photo, and can't predict any other."""
    monkeypatch.setattr(linear_head, "PENALTIES", np.array([10.0]))
    features, labels = np.random.default_rng(0).normal(0, 1, (80, 200)).astype(np.float32), np.arange(80) % 2

    fitted = linear_head.fit((features, labels), 2)

    assert (linear.logits(features, fitted.arrays).argmax(axis=1) == labels).all()
    assert 0.3 < (unseen(fitted).argmax(axis=1) == labels).mean() < 0.7


def test_a_head_on_few_photos_is_no_surer_than_it_is_right() -> None:
    """Of 40 photos, with a temperature fitted on the logits that come with it."""
    seen, labels = clouds(2, 40, 0, apart=0.5)
    arrays, logits = linear_head.fit((seen, labels), 2)
    assert logits is not None
    others, their_labels = clouds(2, 2000, 1, apart=0.5)

    found = loss(linear.logits(others, arrays), their_labels, temperature_scaling.temperature(logits, labels))

    best = min(loss(linear.logits(others, arrays), their_labels, temperature) for temperature in (0.5, 1, 2, 4, 8))
    assert found < best + 0.05


def test_the_penalty_is_the_strongest_that_is_as_good_as_the_best_within_chance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = clouds(2, 200, 0, apart=0.5)
    found = unseen(linear_head.fit(train, 2))
    tried = []
    for penalty in linear_head.PENALTIES:
        monkeypatch.setattr(linear_head, "PENALTIES", np.array([penalty]))
        tried.append(unseen(linear_head.fit(train, 2)))
    chosen = [np.array_equal(logits, found) for logits in tried].index(True)
    losses = -log_softmax(np.array(tried), axis=2)[:, np.arange(200), train[1]]
    best = int(losses.mean(axis=1).argmin())

    assert chosen < best
    for place in range(best):
        apart = losses[place] - losses[best]
        assert (apart.mean() <= sem(apart)) == (place >= chosen)


def test_noise_gets_the_strongest_penalty() -> None:
    features = np.random.default_rng(0).normal(0, 1, (200, 30)).astype(np.float32)
    arrays, _ = linear_head.fit((features, np.arange(200) % 2), 2)

    assert np.abs(arrays["predictions/kernel"]).max() < 0.01


@pytest.mark.parametrize("photos", [4, 6, 9])
def test_a_class_of_a_few_photos_is_fitted_on_fewer_folds(photos: int) -> None:
    few, labels = clouds(2, photos, 0)

    assert unseen(linear_head.fit((few, labels), 2)).shape == (photos, 2)


def test_a_class_with_one_photo_is_fitted_but_cannot_be_held_out() -> None:
    features, labels = clouds(2, 9, 0)
    one = np.flatnonzero(labels == 0)[:1]
    some = np.concatenate([one, np.flatnonzero(labels == 1)])

    arrays, logits = linear_head.fit((features[some], labels[some]), 2)

    assert logits is None
    margins = -np.diff(linear.logits(features[some], arrays), axis=1)
    assert margins.argmax() == 0, "the one cat looks more like a cat than any dog"


def test_each_fit_is_told_of() -> None:
    told: list[tuple[int, int]] = []

    linear_head.fit(clouds(3, 60, 0), 3, progress=lambda done, total: told.append((done, total)))

    assert [done for done, _ in told[:-1]] == list(range(1, len(told)))
    assert {total for _, total in told} == {len(linear_head.PENALTIES) * linear_head.FOLDS + 1}
    assert told[-1][0] == told[-1][1]


@pytest.mark.parametrize("classes", [2, 20])
def test_a_large_problem_gets_about_the_head_that_it_would_get_otherwise(
    classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is compared on one fold, and each fit starts from the previous result."""
    train = clouds(classes, 400, 0, apart=0.5)
    others, labels = clouds(classes, 2000, 1, apart=0.5)
    usual = linear_head.fit(train, classes)
    monkeypatch.setattr(resources, "LARGE", 0)
    told: list[tuple[int, int]] = []

    found = linear_head.fit(train, classes, progress=lambda done, total: told.append((done, total)))

    assert told[0][1] == len(linear_head.PENALTIES) + linear_head.FOLDS
    assert np.isfinite(unseen(found)).all()
    as_good = loss(linear.logits(others, usual.arrays), labels)
    assert loss(linear.logits(others, found.arrays), labels) < 1.05 * as_good
    assert abs(loss(unseen(found), train[1]) - loss(unseen(usual), train[1])) < 0.1 * as_good


def test_only_a_large_problem_takes_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "usable_cores", lambda: 8)

    assert resources.threads_for(2_000 * 512 * 2) == 1
    assert resources.threads_for(3_000 * 512 * 1_000) == 8
