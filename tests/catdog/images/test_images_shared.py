"""`catdog.images` on third-party files: a conformance suite, cameras' orientations, and a fuzzer's finds."""

from pathlib import Path

import numpy as np
import pytest

from catdog import images
from catdog.errors import ImageError
from tests.catdog.images import png_reference

pytestmark = [pytest.mark.data, pytest.mark.filterwarnings("ignore::UserWarning:PIL")]


def test_every_valid_png_of_the_suite_decodes_as_the_specification_says(shared_data: Path) -> None:
    files = sorted((shared_data / "odd_images" / "pngsuite").glob("[!x]*.png"))
    assert len(files) == 161
    for file in files:
        data = file.read_bytes()
        expected = png_reference.over_white(data)
        height, width, _ = expected.shape
        pixels = images.decode(data, max(height, width))
        if height == width:
            assert np.abs(pixels - expected).max() <= 1.01, file.name


def test_every_broken_png_of_the_suite_is_refused(shared_data: Path) -> None:
    files = sorted((shared_data / "odd_images" / "pngsuite").glob("x*.png"))
    assert len(files) == 14
    for file in files:
        with pytest.raises(ImageError):
            images.decode(file.read_bytes())


def test_one_photo_in_nine_orientations_is_one_picture(shared_data: Path) -> None:
    first, *others = (
        images.decode(file.read_bytes()).astype(int)
        for file in sorted((shared_data / "odd_images" / "exif_orientation").iterdir())
    )
    assert len(others) == 8
    for other in others:
        assert np.abs(other - first).mean() < 3


@pytest.mark.parametrize("folder", ["jpeg_fuzz", "pillow", "pngsuite"])
def test_a_hostile_file_gives_pixels_or_an_image_error_and_nothing_else(shared_data: Path, folder: str) -> None:
    for file in sorted((shared_data / "odd_images" / folder).iterdir()):
        try:
            assert images.decode(file.read_bytes()).shape == (224, 224, 3)
        except ImageError:
            continue


def test_every_original_photo_is_taken(shared_data: Path) -> None:
    files = sorted((shared_data / "originals").rglob("*.jpg"))
    assert len(files) == 80
    for file in files:
        assert np.ptp(images.decode(file.read_bytes())) > 50
