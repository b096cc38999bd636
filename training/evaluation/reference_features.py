"""Features of test photos that ship with version 1, because the photos can't ship.

A candidate on the same backbone is compared on them in addition to the user's own test photos, which may be few.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from catdog.errors import WeightsError

FILE = "test-features.h5"


@dataclass(frozen=True)
class Reference:
    """n photos, identified by sha256: features (n, features), labels (n,), and the backbone's fingerprint.

    `pictures` are their perceptual hashes, uint64 (n,), from `training.data.near_duplicates`.
    """

    classes: tuple[str, ...]
    backbone: str
    photos: tuple[str, ...]
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    pictures: NDArray[np.uint64]

    def only(self, kept: NDArray[np.bool_]) -> "Reference":
        """A copy with only the photos where `kept`, (n,), is true."""
        names = tuple(photo for photo, is_kept in zip(self.photos, kept, strict=True) if is_kept)
        return replace(
            self, photos=names, features=self.features[kept], labels=self.labels[kept], pictures=self.pictures[kept]
        )


def write(path: Path, reference: Reference) -> None:
    """Write the file, or replace it; the same content gives the same bytes."""
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = list(reference.classes)
        file.attrs["backbone"] = reference.backbone
        file["photos"] = np.stack([np.frombuffer(bytes.fromhex(photo), np.uint8) for photo in reference.photos])
        file["labels"] = reference.labels.astype(np.uint8)
        file["features"] = reference.features
        file["pictures"] = reference.pictures


def read(path: Path) -> Reference:
    """The file's content; WeightsError if it can't be read."""
    try:
        with h5py.File(path, "r") as file:
            return Reference(
                tuple(file.attrs["classes"]),
                file.attrs["backbone"],
                tuple(bytes(row).hex() for row in file["photos"][()]),
                file["features"][()],
                file["labels"][()].astype(np.int64),
                # Files of earlier versions of catdog have none; zeros match no picture.
                file["pictures"][()] if "pictures" in file else np.zeros(len(file["photos"]), np.uint64),
            )
    except (OSError, KeyError) as error:
        raise WeightsError(path.name, "is not a file of test features, or is truncated") from error
