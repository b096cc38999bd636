from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from training.data.pixels import Labelled
from training.fitting.augmentation import Augmentation
from training.fitting.batches import Batches
from training.fitting.config import Config, Stage

NOTHING = Augmentation(
    area=(1, 1),
    aspect=(1, 1),
    contrast=(1, 1),
    brightness=(0, 0),
    saturation=(1, 1),
    grey_chance=0,
    coarse_chance=0,
    erase_chance=0,
)
CHANCE = np.random.default_rng(0)
PHOTO = CHANCE.integers(0, 256, (40, 40, 3), np.uint8)


def variants(augmentation: Augmentation, photo: np.ndarray = PHOTO, pixels: int = 40) -> list[np.ndarray]:
    return [augmentation.apply(photo, pixels, np.random.default_rng(seed)) for seed in range(20)]


def test_without_any_change_there_is_the_photo_and_its_mirror_image() -> None:
    found = {variant.tobytes() for variant in variants(NOTHING)}

    assert found == {PHOTO.tobytes(), PHOTO[:, ::-1].tobytes()}


def test_a_crop_keeps_at_least_the_least_area() -> None:
    rows = np.broadcast_to(np.arange(0, 200, 5).astype(np.uint8)[:, None, None], (40, 40, 3))

    for variant in variants(replace(NOTHING, area=(0.25, 0.25)), rows):
        assert 0.4 * 200 < int(variant.max()) - int(variant.min()) < 0.6 * 200


def test_brightness_is_added_to_every_pixel() -> None:
    for variant in variants(replace(NOTHING, brightness=(20, 20)), np.full((40, 40, 3), 100, np.uint8)):
        assert (variant == 120).all()


def test_contrast_turns_about_mid_grey() -> None:
    for variant in variants(replace(NOTHING, contrast=(0.5, 0.5)), np.full((40, 40, 3), 228, np.uint8)):
        assert (variant == 178).all()


def test_a_grey_variant_has_the_luma_of_the_photo() -> None:
    red = np.broadcast_to(np.array([200, 0, 0], np.uint8), (40, 40, 3))

    for variant in variants(replace(NOTHING, grey_chance=1), red):
        assert np.abs(variant.astype(int) - 0.299 * 200).max() <= 1


def test_a_coarse_variant_has_lost_detail_and_kept_its_size() -> None:
    for variant in variants(replace(NOTHING, coarse_chance=1, coarse=(0.3, 0.3))):
        assert variant.shape == (40, 40, 3)
        assert variant.std() < 0.7 * PHOTO.std()


def test_an_erased_rectangle_has_one_colour_and_its_area() -> None:
    for variant in variants(replace(NOTHING, erase_chance=1, erase_area=(0.25, 0.25)), np.zeros((40, 40, 3), np.uint8)):
        assert (variant.any(axis=-1)).sum() == 400


def batches(**changes: object) -> Batches:
    photos = np.stack([np.full((32, 32, 3), shade, np.uint8) for shade in range(0, 250, 10)])
    options: dict[str, Any] = {"pixels": 16, "batch_size": 8, "augmentation": NOTHING, "seed": 1, "epoch": 0} | changes
    stage = Stage(options["pixels"], 1, options["batch_size"])
    config = Config(augmentation=options["augmentation"], seed=options["seed"])
    return Batches(Labelled(photos, np.arange(25) % 3, 3), stage, config, epoch=options["epoch"])


def shades(found: Batches) -> list[int]:
    return [int(photo[0, 0, 0]) for index in range(len(found)) for photo in found[index][0]]


def test_a_batch_has_photos_at_the_size_and_one_hot_labels() -> None:
    photos, labels = batches()[0]

    assert photos.shape == (8, 16, 16, 3)
    assert photos.dtype == np.uint8
    assert labels.shape == (8, 3)
    assert labels.dtype == np.float32
    assert [int(shade) // 10 % 3 for shade in photos[:, 0, 0, 0]] == labels.argmax(axis=1).tolist()


def test_an_epoch_shows_each_photo_once_in_another_order_than_the_last() -> None:
    found = batches()
    first = shades(found)
    found.on_epoch_end()

    assert len(set(first)) == len(first) == 24
    assert shades(found) != first


def test_the_same_seed_and_epoch_give_the_same_batches() -> None:
    strong = {"augmentation": Augmentation()}
    resumed = batches(epoch=1, **strong)
    gone_on = batches(**strong)
    gone_on.on_epoch_end()

    assert np.array_equal(resumed[2][0], gone_on[2][0])
    assert not np.array_equal(resumed[2][0], batches(epoch=1, seed=2, **strong)[2][0])


@pytest.mark.parametrize(("batch_size", "count"), [(8, 3), (25, 1), (100, 1)])
def test_a_short_last_batch_is_dropped_but_never_the_only_one(batch_size: int, count: int) -> None:
    assert len(batches(batch_size=batch_size)) == count


def test_mixup_blends_each_photo_and_its_label_with_another_in_the_same_shares() -> None:
    """Photos of one brightness each, so that a blend shows its shares."""
    levels = np.array([0, 100, 200], np.uint8)
    photos = np.repeat(levels, 10)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    untouched = Augmentation(contrast=(1, 1), brightness=(0, 0), saturation=(1, 1), grey_chance=0, erase_chance=0)
    labels = np.repeat(np.arange(3), 10)

    def batch(mixup: float) -> tuple[np.ndarray, np.ndarray]:
        return Batches(Labelled(photos, labels, 3), Stage(8, 1, 30), Config(augmentation=untouched, mixup=mixup))[0]

    plain, one_hot = batch(mixup=0)
    mixed, shares = batch(mixup=0.4)

    assert set(np.unique(one_hot)) == {0, 1}
    assert 0 < shares.max(axis=1).min() < 1
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.abs(mixed[:, 0, 0, 0] - shares @ levels).max() <= 1
    assert not np.array_equal(mixed, plain)
