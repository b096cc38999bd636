"""Decoded photos of a data set, in memory or, if there are many, in a file."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from catdog import images
from catdog.errors import ImageError
from catdog.network.architecture import INPUT_PIXELS
from catdog.system.repeating import patiently
from training.data.dataset import Photo, Report


@dataclass(frozen=True)
class Labelled:
    """Photos, uint8 RGB (n, 224, 224, 3), and their labels, (n,), numbers below `classes`."""

    photos: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: int

    @property
    def one_hot(self) -> NDArray[np.float32]:
        """The labels as float32 (n, classes)."""
        return np.eye(self.classes, dtype=np.float32)[self.labels]

    def at(self, pixels: int) -> NDArray[np.uint8]:
        """The photos at another size, (n, pixels, pixels, 3)."""
        if pixels == self.photos.shape[1]:
            return self.photos
        resized = (Image.fromarray(photo).resize((pixels, pixels), Image.Resampling.BICUBIC) for photo in self.photos)
        return np.stack([np.asarray(image) for image in resized])


def decode(
    photos: Sequence[Photo],
    report: Report,
    into: Path | None = None,
) -> tuple[tuple[Photo, ...], NDArray[np.uint8]]:
    """The photos that can be read, and their pixels: uint8 RGB (n, 224, 224, 3).

    A broken photo is reported and left out. With `into` the pixels are in that .npy file, 150 KB per photo, instead of
    in memory.
    """
    shape = (len(photos), INPUT_PIXELS, INPUT_PIXELS, 3)
    pixels = np.empty(shape, np.uint8) if into is None else _mapped(into, shape)
    kept: list[Photo] = []
    with ThreadPoolExecutor() as pool:
        for photo, result in zip(photos, pool.map(_decode, photos), strict=True):
            if isinstance(result, ImageError):
                report(photo, result)
            else:
                pixels[len(kept)] = result
                kept.append(photo)
    return tuple(kept), pixels[: len(kept)]


def _mapped(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A memory-mapped array in a .npy file; OSError if the disk has too little space for it."""
    needed, free = prod(shape), shutil.disk_usage(file.parent).free
    if needed > free:  # checked now, because later a mapped page without disk space would kill the process
        raise OSError(f"{file.parent} has {free:,} bytes free, but the decoded photos take {needed:,}; free disk space")
    pixels: NDArray[np.uint8] = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
    return pixels


def _decode(photo: Photo) -> NDArray[np.uint8] | ImageError:
    try:
        return images.decode(patiently(photo.path.read_bytes))
    except ImageError as error:
        return error
