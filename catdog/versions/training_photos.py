"""Finds the versions that were trained on a photo, by the record in each version's folder.

The record has the first 8 bytes of each photo's sha256; `training.data.trained_on` writes it.
"""

from typing import Final

import h5py
import numpy as np

from catdog.errors import StoreError
from catdog.versions.store import Store

FILE: Final = "trained-on.h5"


def number_of(sha256: str) -> int:
    """The first 8 bytes of a sha256."""
    return int(sha256[:16], 16)


def versions_trained_on(store: Store, sha256: str) -> list[int]:
    """The versions whose network or head was trained on this photo, as far as their records say."""
    return [version for version in store.versions() if _names(store, version, sha256)]


def _names(store: Store, version: int, sha256: str) -> bool:
    """Whether the record of a version names the photo; false without a record that can be read."""
    try:
        with h5py.File(store.open(version).path / FILE, "r") as file:
            return bool(np.any(file["contents"][()] == np.uint64(number_of(sha256))))
    except (OSError, KeyError, StoreError):  # the version has no record, or was deleted since
        return False
