import numpy as np
import pytest
from numpy.typing import NDArray

from catdog.versions import calibration
from training.evaluation import paired_sample
from training.evaluation.paired_sample import Lost

ACCURACY, LOG_LOSS = 0.002, 0.01
Numbers = NDArray[np.float64]


def answers(photos: int, noise: float, seed: int, sure: float = 6.0) -> tuple[NDArray[np.int64], Numbers, Numbers]:
    """Labels of n photos, and answers of float32 and int8: 2% are wrong, and `noise` is added to int8's logits."""
    chance = np.random.default_rng(seed)
    truth = chance.integers(0, 2, photos)
    right = sure * np.abs(chance.normal(1, 0.5, photos)) * np.where(chance.random(photos) < 0.02, -1, 1)
    logits = np.where(np.arange(2) == truth[:, None], right[:, None] / 2, -right[:, None] / 2)
    moved = logits + noise * chance.normal(0, 1, (photos, 2))
    return truth, calibration.probabilities(logits, 1.0), calibration.probabilities(moved, 1.0)


def settled(truth: NDArray[np.int64], f32: Numbers, int8: Numbers) -> tuple[Lost, int]:
    """The loss, and the number of photos that it took."""
    for sample in paired_sample.samples(truth, int8):
        lost = paired_sample.lost(sample, truth, f32[sample.places], int8)
        if lost.settles(ACCURACY, LOG_LOSS):
            break
    return lost, len(sample.places)


def verdict(lost: Lost) -> bool:
    return lost.accuracy <= ACCURACY + 1e-9 and lost.log_loss <= LOG_LOSS + 1e-9


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3, 1.0, 3.0])
def test_a_sample_gives_the_verdict_that_all_photos_give(noise: float) -> None:
    for seed in range(10):
        truth, f32, int8 = answers(1000, noise, seed)
        *_, all_photos = paired_sample.samples(truth, int8)
        whole = paired_sample.lost(all_photos, truth, f32[all_photos.places], int8)

        some, _ = settled(truth, f32, int8)

        assert verdict(some) == verdict(whole), (some, whole)


def test_few_photos_settle_what_is_clear() -> None:
    truth, f32, int8 = answers(1000, 0.02, 0)

    lost, photos = settled(truth, f32, int8)

    assert photos < 60
    assert abs(lost.log_loss) < 0.001


def test_all_photos_are_looked_at_where_some_leave_it_open() -> None:
    truth, f32, int8 = answers(1000, 0.3, 0, sure=0.5)

    _, photos = settled(truth, f32, int8)

    assert photos == 1000


def test_every_photo_that_int8_got_wrong_is_looked_at_before_it_serves() -> None:
    truth, f32, _ = answers(1000, 0.0, 0)
    int8 = f32.copy()
    spoilt = np.random.default_rng(0).choice(np.flatnonzero(f32.argmax(axis=1) == truth), 10, replace=False)
    int8[spoilt] = int8[spoilt, ::-1]

    lost, _ = settled(truth, f32, int8)

    assert lost.accuracy == pytest.approx(0.01)
    assert not verdict(lost)


def test_a_sample_of_all_photos_gives_the_plain_means() -> None:
    truth, f32, int8 = answers(40, 0.5, 1)
    (sample,) = paired_sample.samples(truth, int8)

    lost = paired_sample.lost(sample, truth, f32[sample.places], int8)

    photos = np.arange(40)
    expected = -np.log(int8[photos, truth]).mean() + np.log(f32[photos, truth]).mean()
    assert lost.log_loss == pytest.approx(expected)
    assert lost.accuracy == pytest.approx((f32.argmax(axis=1) == truth).mean() - (int8.argmax(axis=1) == truth).mean())
    assert (lost.error, lost.is_at_most) == (0.0, True)


def test_a_sample_has_every_photo_once_and_is_the_same_again() -> None:
    truth, _, int8 = answers(1000, 0.1, 2)

    sizes = []
    for sample, again in zip(paired_sample.samples(truth, int8), paired_sample.samples(truth, int8), strict=True):
        assert np.array_equal(sample.places, again.places)
        assert len(np.unique(sample.places)) == len(sample.places)
        sizes.append(len(sample.places) - len(sample.worst))
    wrong = np.flatnonzero(int8.argmax(axis=1) != truth)

    assert sizes == [32, 64, 256, 0]
    assert np.isin(wrong, sample.worst).all()
