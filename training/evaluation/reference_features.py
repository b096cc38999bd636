"""Features of test photos that ship with version 1, because the photos can't.

A candidate on the same backbone is judged by them as well as by the user's own test photos, which may be few.
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
    """n photos, named by their sha256: features (n, features), labels (n,), and the backbone's fingerprint.

    `pictures` are their hashes, uint64 (n,), as `training.data.near_duplicates` makes them.
    """

    classes: tuple[str, ...]
    backbone: str
    photos: tuple[str, ...]
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    pictures: NDArray[np.uint64]

    def only(self, kept: NDArray[np.bool_]) -> "Reference":
        """The same, with the photos alone that are `kept`, (n,)."""
        names = tuple(photo for photo, is_kept in zip(self.photos, kept, strict=True) if is_kept)
        return replace(
            self, photos=names, features=self.features[kept], labels=self.labels[kept], pictures=self.pictures[kept]
        )


def write(path: Path, reference: Reference) -> None:
    """Write the file anew; the same content gives the same bytes."""
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = list(reference.classes)
        file.attrs["backbone"] = reference.backbone
        file["photos"] = np.stack([np.frombuffer(bytes.fromhex(photo), np.uint8) for photo in reference.photos])
        file["labels"] = reference.labels.astype(np.uint8)
        file["features"] = reference.features
        file["pictures"] = reference.pictures


def read(path: Path) -> Reference:
    """The file's content; WeightsError where that can't be read."""
    try:
        with h5py.File(path, "r") as file:
            return Reference(
                tuple(file.attrs["classes"]),
                file.attrs["backbone"],
                tuple(bytes(row).hex() for row in file["photos"][()]),
                file["features"][()],
                file["labels"][()].astype(np.int64),
                # A file of an earlier catdog has none: zeros are like no picture.
                file["pictures"][()] if "pictures" in file else np.zeros(len(file["photos"]), np.uint64),
            )
    except (OSError, KeyError) as error:
        raise WeightsError(path.name, "is no file of test features, or cut short") from error
