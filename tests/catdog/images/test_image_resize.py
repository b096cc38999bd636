"""The two resizing libraries agree, so that a photo gets the same answer on every machine."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from catdog import images
from catdog.image_formats import resize
from tests.catdog.images.pictures import encode, texture

PIXELS = 224
with_simd = pytest.mark.skipif(not find_spec("cykooz_resizer"), reason="cykooz-resizer isn't installed")


def bicubic_weights(size: int, start: float, stop: float) -> NDArray[np.float64]:
    """Keys's filter (1981), a = -0.5, as a matrix (PIXELS, size) that squashes `start` to `stop` of a side."""
    scale = (stop - start) / PIXELS
    centres = start + (np.arange(PIXELS) + 0.5) * scale
    x = np.abs(np.arange(size) + 0.5 - centres[:, np.newaxis]) / max(scale, 1)
    kernel = np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))


def exact(photo: Image.Image, box: resize.Box) -> NDArray[np.float64]:
    """The squashed photo without any rounding."""
    left, top, right, bottom = box
    across, down = bicubic_weights(photo.width, left, right), bicubic_weights(photo.height, top, bottom)
    full = np.atleast_3d(np.asarray(photo, np.float64))
    squashed: NDArray[np.float64] = np.einsum("yh,hwc,xw->yxc", down, full, across, optimize=True)
    return np.clip(squashed, 0, 255)


@with_simd
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(500, 375), (375, 500), (200, 200), (3, 1), (1, 1343), (1343, 1343), (225, 223)])
def test_resizing_with_simd_is_as_exact_as_pillow(size: tuple[int, int], mode: str) -> None:
    photo = texture(*size).convert(mode)
    reference = exact(photo, (0, 0, *size))
    simd = np.atleast_3d(np.asarray(resize.with_simd(photo, PIXELS, None)))
    pillow = np.atleast_3d(np.asarray(resize.with_pillow(photo, PIXELS, None, 3)))
    assert simd.shape == reference.shape
    assert np.abs(simd - reference).max() <= max(1.2, np.abs(pillow - reference).max() + 0.5)
    assert np.abs(simd - reference).mean() <= np.abs(pillow - reference).mean() + 0.03


@with_simd
def test_a_photo_that_ends_inside_its_last_pixel_is_resized_without_the_rest() -> None:
    photo, box = texture(751, 563), (0.0, 0.0, 750.25, 562.5)
    simd = np.asarray(resize.with_simd(photo, PIXELS, box))
    assert np.abs(simd - exact(photo, box)).mean() < 0.3
    assert np.abs(simd - exact(photo, (0, 0, 751, 563))).mean() > 0.3


@with_simd
def test_every_instruction_set_gives_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    from cykooz_resizer import CpuExtensions, Resizer

    photo = texture(500, 375)
    best = resize.with_simd(photo, PIXELS, None)
    plain = Resizer()
    plain.cpu_extensions = CpuExtensions.none
    monkeypatch.setattr(resize, "Resizer", lambda: plain)
    assert resize.with_simd(photo, PIXELS, None).tobytes() == best.tobytes()


@with_simd
@pytest.mark.parametrize(("size", "is_simd"), [((1343, 900), True), ((1344, 900), False)])
def test_simd_resizes_what_pillow_would_not_reduce_first(size: tuple[int, int], is_simd: bool) -> None:
    photo = texture(*size)
    squashed = resize.squash(photo, PIXELS, None, 3).tobytes()
    assert (squashed == resize.with_simd(photo, PIXELS, None).tobytes()) == is_simd
    assert (squashed == resize.with_pillow(photo, PIXELS, None, 3).tobytes()) != is_simd


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_without_the_library_pillow_resizes_to_nearly_the_same_pixels(mode: str, tmp_path: Path) -> None:
    file, pixels = tmp_path / "photo.jpg", tmp_path / "pixels.npy"
    file.write_bytes(encode(texture(500, 375).convert(mode), "JPEG"))
    program = """
import pathlib, sys
sys.modules["cykooz_resizer"] = None
import numpy
from catdog import images
from catdog.image_formats import resize
assert not resize.HAS_SIMD
numpy.save(sys.argv[2], images.decode(pathlib.Path(sys.argv[1]).read_bytes()))
"""
    subprocess.run([sys.executable, "-c", program, file, pixels], check=True)
    off = np.abs(np.load(pixels).astype(int) - images.decode(file.read_bytes()))
    assert off.mean() < 0.25
    assert off.max() <= 2
