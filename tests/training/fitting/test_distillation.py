"""A student sees the views that its teacher answered for."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from training.data.pixels import Labelled
from training.fitting.config import Config, Stage
from training.fitting.distillation import TaughtBatches, Views

CONFIG = Config(mixup=0.2, views=2)


@pytest.fixture(scope="module")
def photos() -> Labelled:
    """Eight photos of large coloured areas, so that a smaller size shows nearly the same."""
    areas = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), np.uint8)
    smooth = [np.asarray(Image.fromarray(each).resize((224, 224), Image.Resampling.BICUBIC)) for each in areas]
    return Labelled(np.stack(smooth), np.arange(8) % 2, 2)


@pytest.fixture(scope="module")
def answers() -> Sequence[NDArray[np.float16]]:
    """For each of two views the number of the photo as its answer."""
    return [np.repeat(np.arange(8.0, dtype=np.float16)[:, None], 5, axis=1) + 100 * view for view in range(2)]


def reduced(picture: NDArray[np.uint8], pixels: int) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(picture).resize((pixels, pixels), Image.Resampling.BOX), np.float32)


def difference(one: NDArray[np.float32], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one - other.astype(np.float32)).mean())


@pytest.mark.parametrize("view", [0, 1])
def test_a_view_shows_the_same_at_every_size(photos: Labelled, view: int) -> None:
    views = Views(photos, CONFIG)

    for row in range(8):
        seen_by_teacher = reduced(views.picture(row, view), 56)

        assert difference(seen_by_teacher, views.picture(row, view, 56)) < 6
        assert difference(seen_by_teacher, views.picture(row, 1 - view, 56)) > 12


def test_a_batch_has_the_next_view_in_each_epoch_with_its_answers_and_half_of_it_mirrored(
    photos: Labelled, answers: Sequence[NDArray[np.float16]]
) -> None:
    views = Views(photos, CONFIG)
    batches = TaughtBatches(photos, Stage(56, 4, 8), CONFIG, views=views, answers=answers)
    mirrored = []

    for epoch in range(4):
        pixels, answered = batches[0]
        rows, view = answered[:, 0].astype(int) % 100, epoch % 2
        assert (answered[:, 0] >= 100).all() == bool(view)
        for picture, row in zip(pixels, rows, strict=True):
            expected = views.picture(int(row), view, 56)
            mirrored.append(not np.array_equal(picture, expected))
            assert np.array_equal(picture[:, ::-1] if mirrored[-1] else picture, expected)
        batches.on_epoch_end()

    assert 8 <= sum(mirrored) <= 24, "of 32"
