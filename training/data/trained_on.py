"""Records which photos a version was trained on, so that it isn't evaluated on them.

The network is more accurate on them, and its features are longer. A photo is recognised by its content, or as a nearly
identical picture: 17 bytes per photo are stored, from which it can't be reconstructed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from catdog.errors import WeightsError
from catdog.features import thumbnail
from catdog.versions.version import TRAINED_ON, Version, photo_number
from training.data import dataset, near_duplicates
from training.data.dataset import Photo, Report
from training.data.pixels import decode

FILE: Final = TRAINED_ON
LIMIT_BITS: Final = 6  # largest number of differing bits, of 64, for nearly identical pictures: decision 12
BLOCK: Final = 2**22  # pairs of hashes compared at a time: 32 MB

PHOTOS: Final = 64  # decoded at a time

Numbers = NDArray[np.uint64]


@dataclass(frozen=True)
class TrainedOn:
    """n photos: `contents`, the first 8 bytes of their sha256, and `pictures`, their hashes, both uint64 (n,).

    `of_backbone`, bool (n,), is true for photos that trained the convolutions; the others trained only the head.
    `is_complete` is false if it started from a version or a file whose training photos aren't known.
    """

    contents: Numbers
    pictures: Numbers
    of_backbone: NDArray[np.bool_]
    is_complete: bool = True

    @classmethod
    def nothing(cls, is_complete: bool = True) -> Self:
        """No photos, or no known ones."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.bool_), is_complete)

    def and_on(self, photos: Sequence[Photo], pictures: Numbers, of_backbone: bool) -> Self:
        """A copy with these photos and their hashes added; each photo is in it once."""
        numbers = contents(photos)
        _, first = np.unique(numbers, return_index=True)
        new = first[~np.isin(numbers[first], self.contents)]
        again = np.isin(self.contents, numbers) & of_backbone
        return replace(
            self,
            contents=np.concatenate([self.contents, numbers[new]]),
            pictures=np.concatenate([self.pictures, pictures[new]]),
            of_backbone=np.concatenate([self.of_backbone | again, np.full(len(new), of_backbone)]),
        )

    def by_backbone(self) -> Self:
        """Only the photos that the convolutions were trained on."""
        some = self.of_backbone
        return replace(self, contents=self.contents[some], pictures=self.pictures[some], of_backbone=some[some])

    def has(self, contents: Numbers, pictures: Numbers) -> NDArray[np.bool_]:
        """Which of m photos are among them, (m,), by `contents` or as nearly identical `pictures`, (m,) each."""
        found = np.isin(contents, self.contents)
        known = np.unique(self.pictures)
        rows = max(1, BLOCK // max(1, len(known)))
        for start in range(0, len(pictures) if len(known) else 0, rows):
            apart = np.bitwise_count(pictures[start : start + rows, None] ^ known)
            found[start : start + rows] |= apart.min(axis=1) <= LIMIT_BITS
        return found


def of_folder(version: Version, data: Path, report: Report) -> TrainedOn | None:
    """The record of a version, made from the folder that it was trained on; None if `data` is another folder."""
    lineage = version.manifest.lineage
    if not (data / "train").is_dir():
        return None
    photos = dataset.read_as(lineage, data, report)
    if photos.fingerprint != lineage.dataset.fingerprint:
        return None
    record = TrainedOn.nothing()
    train = photos.splits["train"]
    for start in range(0, len(train), PHOTOS):
        readable, pixels = decode(train[start : start + PHOTOS], report)
        record = record.and_on(readable, of_pixels(pixels), of_backbone=lineage.strategy != "head")
    return record


def of_pixels(photos: NDArray[np.uint8]) -> Numbers:
    """The hashes of photos, uint8 RGB (n, 224, 224, 3): uint64 (n,)."""
    if not len(photos):
        return np.empty(0, np.uint64)
    return near_duplicates.hashes(np.stack([thumbnail(photo) for photo in photos]))


def contents(photos: Sequence[Photo]) -> Numbers:
    """The first 8 bytes of the sha256 of each photo: uint64 (n,)."""
    return np.array([photo_number(photo.sha256) for photo in photos], np.uint64)


def write(path: Path, trained_on: TrainedOn) -> None:
    """Write the file, or replace it."""
    with h5py.File(path, "w") as file:
        file.attrs["is_complete"] = trained_on.is_complete
        file["contents"] = trained_on.contents
        file["pictures"] = trained_on.pictures
        file["of_backbone"] = trained_on.of_backbone


def read(version: Path) -> TrainedOn:
    """The record in a version's folder; an incomplete empty one if it has none. WeightsError if it can't be read."""
    if not (path := version / FILE).exists():
        return TrainedOn.nothing(is_complete=False)
    try:
        with h5py.File(path, "r") as file:
            return TrainedOn(
                file["contents"][()],
                file["pictures"][()],
                file["of_backbone"][()],
                bool(file.attrs["is_complete"]),
            )
    except (OSError, KeyError) as error:
        raise WeightsError(path.name, "is not a record of training photos, or is truncated") from error
