"""Whether a photo is like none of the classes: the out-of-distribution detector of a version.

A photo is as familiar as its features are similar to those of some training photos: the cosine similarity to the
k-th nearest of them. Sun, Ming, Zhu & Li, "Out-of-Distribution Detection with Deep Nearest Neighbors" (2022); decision
14 has the measurement. A version of an earlier catdog goes by the length of the features instead (decision 11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from catdog.checksum import sha256_of
from catdog.manifest import Histogram, Manifest, Neighbours, Unknown

FILE: Final = "training-features.npy"  # float16 (photos, features), rows of length 1, as NumPy writes it
KEEP: Final = 0.95  # share of the photos of the classes that are known, unless another is asked for
LEAST_KEEP: Final = 0.5  # that can be asked for: a smaller share is the share to lose, mistaken for it
NEVER: Final = (1.0, 0.0)  # where all are to be known, no photo is unknown

Features = NDArray[np.float32]
Values = NDArray[np.float64]
Thresholds = Sequence[tuple[float, float]]  # by the share that is kept, which ascends


@dataclass(frozen=True)
class Detector:
    """What tells photos of none of the classes from others: `known` describes it.

    `bank` are features of training photos, float32 (photos, features), rows of length 1; None where `known` goes by
    the length of features. `thresholds` are those of `familiarity`, below which a photo is unknown.
    """

    known: Unknown
    bank: Features | None
    thresholds: Thresholds

    @classmethod
    def of(cls, known: Unknown, bank: Features | None = None, usual: Histogram | None = None) -> Self:
        """The detector that a manifest describes; `usual` is the familiarity of its validation photos.

        ValueError where the bank isn't the one that is described.
        """
        expected = known.neighbours.photos if known.neighbours else 0
        if (0 if bank is None else len(bank)) != expected:
            raise ValueError(f"it doesn't hold the features of {expected:,} photos")
        return cls(known, bank, thresholds(known, usual))

    def familiarity(self, features: Features) -> Values:
        """How familiar each photo with features (n, features) is, (n,), 0 and up: 1 is usual."""
        if self.known.neighbours is None or self.bank is None:
            return lengths(features) / (self.known.usual_length or 1.0)
        nearest = self.known.neighbours.nearest
        return similarities(features, self.bank, nearest) / self.known.neighbours.usual_similarity

    def threshold(self, keep: float = KEEP) -> float:
        """The familiarity below which a photo is unknown, so that this share of the photos of the classes is known."""
        return threshold(self.thresholds, keep)

    def judged(self, features: Features, keep: float = KEEP) -> tuple[float, bool]:
        """The familiarity of one photo with features (1, features), and whether it is unknown."""
        (found,) = self.familiarity(features).tolist()
        return found, found < self.threshold(keep)


def thresholds(known: Unknown, usual: Histogram | None = None) -> Thresholds:
    """What a manifest says of thresholds; `usual` is the familiarity of its validation photos."""
    return (*(known.thresholds or _of_earlier(known, usual)), NEVER)


def threshold(thresholds: Thresholds, keep: float) -> float:
    """The threshold for this share of the photos of the classes, interpolated between two shares; 0 for all."""
    shares, found = zip(*thresholds, strict=True)
    return float(np.interp(keep, shares, found))


def lengths(features: Features) -> Values:
    """The Euclidean length of each photo's features (n, features): (n,)."""
    result: Values = np.linalg.norm(features.astype(np.float64), axis=1)
    return result


def similarities(features: Features, bank: Features, nearest: int) -> Values:
    """The cosine similarity of each photo's features (n, features) to the k-th nearest of a bank: (n,), 0 to 1.

    k is `nearest`, the rows of the bank (photos, features) are of length 1. Features are never negative.
    """
    place = len(bank) - nearest
    # Not by BLAS, whose threads would wait for the cores that infer: 38 ms in place of 0.1.
    found = np.partition(np.einsum("nf,mf->nm", of_length_1(features), bank), place, axis=1)[:, place]
    return np.clip(found.astype(np.float64), 0, 1)


def of_length_1(features: Features) -> Features:
    """The same, (n, features), each row divided by its length; zeros stay."""
    long = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(long, np.finfo(np.float32).tiny), np.float32)


def encoded(bank: Features) -> bytes:
    """A bank as a file's bytes, in float16."""
    file = BytesIO()
    np.save(file, bank.astype(np.float16), allow_pickle=False)
    return file.getvalue()


def is_file_of(neighbours: Neighbours, path: Path) -> bool:
    """Whether a file is the one that is described; OSError where it can't be read."""
    return path.stat().st_size == neighbours.bytes and sha256_of(path) == neighbours.sha256


def read(manifest: Manifest, folder: Path) -> Detector | None:
    """The detector of a version in its folder, None where it has none; OSError or ValueError where that isn't whole."""
    if manifest.unknown is None:
        return None
    bank = None
    if manifest.unknown.neighbours is not None:
        bank = np.load(folder / FILE, allow_pickle=False).astype(np.float32)
        if bank.shape[1:] != (manifest.architecture.features,):
            raise ValueError(f"its features aren't {manifest.architecture.features:,} numbers a photo")
    return Detector.of(manifest.unknown, bank, manifest.histograms.get("familiarity"))


def _of_earlier(known: Unknown, usual: Histogram | None) -> Thresholds:
    """The thresholds of a version of an earlier catdog: the one that it has, and its histogram's edges above that."""
    found = [(KEEP, known.threshold)]
    if usual is not None:
        kept = 1 - np.cumsum(usual.photos[:-1]) / sum(usual.photos)
        above = zip(kept.tolist(), usual.edges, strict=True)
        found += [(share, edge) for share, edge in above if share < KEEP and edge > known.threshold]
    return sorted(found)
