"""Reads photos of a folder for an export: to set the ranges of int8, and to compare answers."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catdog import images
from catdog.errors import DatasetError, ImageError

MOST = 300  # as for the graph that the service runs


def read(folder: Path, most: int = MOST) -> NDArray[np.uint8]:
    """Up to `most` photos below `folder`, drawn at random, always the same: uint8 RGB (n, 224, 224, 3).

    Labels don't matter. Files that can't be read as photos are left out; DatasetError if that leaves none.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = []
    for place in np.random.default_rng(0).permutation(len(files)):
        try:
            found.append(images.decode(files[place].read_bytes()))
        except ImageError:
            continue
        if len(found) == most:
            break
    if not found:
        raise DatasetError(f"{folder} contains no photo that can be read")
    return np.stack(found)
