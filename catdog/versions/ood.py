"""The out-of-distribution detector of a version, which finds photos that are unlike every class.

The familiarity of a photo is the cosine similarity of its features to the k-th nearest of some training photos, after
whitening by the within-class covariance. Sun, Ming, Zhu & Li, "Out-of-Distribution Detection with Deep Nearest
Neighbors" (2022); decision 14 has the measurements. Versions from earlier versions of catdog use the length of the
features instead (decision 11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from catdog.system.durable import sha256_of
from catdog.versions.manifest import Manifest
from catdog.versions.measurements import Histogram, Neighbours, Unknown

FILE: Final = "training-features.h5"
KEEP: Final = 0.95  # default share of the photos of the classes that are known
LEAST_KEEP: Final = 0.5  # smallest allowed share: a smaller number is probably the share to lose, given by mistake
NEVER: Final = (1.0, 0.0)  # with a share of 1 no photo is unknown

Features = NDArray[np.float32]
Values = NDArray[np.float64]
Thresholds = Sequence[tuple[float, float]]  # (share that is kept, threshold), ascending by share


@dataclass(frozen=True)
class Bank:
    """Training photos: `features`, float32 (photos, features), whitened and then normalised to length 1.

    `whitening` is the symmetric whitening matrix, float32 (features, features).
    """

    whitening: Features
    features: Features

    def similarities(self, features: Features, nearest: int) -> Values:
        """The cosine similarity of each photo's features, (n, features), to the k-th nearest, k = `nearest`: (n,), 0-1.

        Negative similarities become 0.
        """
        place = len(self.features) - nearest
        found = np.partition(_products(self.whitened(features), self.features), place, axis=1)[:, place]
        return np.clip(found.astype(np.float64), 0, 1)

    def whitened(self, features: Features) -> Features:
        """Features whitened and normalised like the bank's rows, (n, features); zeros stay zeros."""
        return of_length_1(_products(of_length_1(features), self.whitening))

    def encoded(self) -> bytes:
        """The bank as a file's bytes, in float16; equal banks give the same bytes."""
        data = BytesIO()
        with h5py.File(data, "w") as file:
            file["whitening"] = self.whitening.astype(np.float16)
            file["features"] = self.features.astype(np.float16)
        return data.getvalue()


@dataclass(frozen=True)
class Detector:
    """Detects photos of none of the classes; `known` is its description in the manifest.

    `bank` is None if it uses the length of the features. `thresholds` are of `familiarity`, below which a photo is
    unknown.
    """

    known: Unknown
    bank: Bank | None
    thresholds: Thresholds

    @classmethod
    def of(cls, known: Unknown, bank: Bank | None = None, usual: Histogram | None = None) -> Self:
        """The detector that a manifest describes; `usual` is the familiarity of its validation photos.

        ValueError if the bank isn't the described one.
        """
        expected = known.neighbours.photos if known.neighbours else 0
        if (0 if bank is None else len(bank.features)) != expected:
            raise ValueError(f"it doesn't hold the features of {expected:,} photos")
        return cls(known, bank, thresholds(known, usual))

    def familiarity(self, features: Features) -> Values:
        """The familiarity of each photo, from its features (n, features): (n,), 0 and up; 1 is typical."""
        if self.known.neighbours is None or self.bank is None:
            return lengths(features) / (self.known.usual_length or 1.0)
        found = self.bank.similarities(features, self.known.neighbours.nearest)
        return found / self.known.neighbours.usual_similarity

    def threshold(self, keep: float = KEEP) -> float:
        """The familiarity below which a photo is unknown, if `keep` is the share of photos of the classes to keep."""
        return threshold(self.thresholds, keep)

    def judged(self, features: Features, keep: float = KEEP) -> tuple[float, bool]:
        """The familiarity of one photo with features (1, features), and whether it is unknown."""
        (found,) = self.familiarity(features).tolist()
        return found, found < self.threshold(keep)


def thresholds(known: Unknown, usual: Histogram | None = None) -> Thresholds:
    """The thresholds from a manifest; `usual` is the familiarity of its validation photos."""
    return (*(known.thresholds or _of_earlier(known, usual)), NEVER)


def threshold(thresholds: Thresholds, keep: float) -> float:
    """The threshold that keeps this share of the photos of the classes, interpolated between shares; 0 for all."""
    shares, found = zip(*thresholds, strict=True)
    return float(np.interp(keep, shares, found))


def lengths(features: Features) -> Values:
    """The Euclidean length of each photo's features (n, features): (n,)."""
    result: Values = np.linalg.norm(features.astype(np.float64), axis=1)
    return result


def of_length_1(features: Features) -> Features:
    """The features, (n, features), normalised to length 1; zeros stay zeros."""
    long = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(long, np.finfo(np.float32).tiny), np.float32)


def is_file_of(neighbours: Neighbours, path: Path) -> bool:
    """Whether a file is the described one; OSError if it can't be read."""
    return path.stat().st_size == neighbours.bytes and sha256_of(path) == neighbours.sha256


def read(manifest: Manifest, folder: Path) -> Detector | None:
    """The detector of a version, read from its folder, None if it has none; OSError or ValueError if it is broken."""
    if manifest.unknown is None:
        return None
    bank = None if manifest.unknown.neighbours is None else _bank(folder / FILE, manifest.architecture.features)
    return Detector.of(manifest.unknown, bank, manifest.histograms.get("familiarity"))


def _bank(path: Path, features: int) -> Bank:
    with h5py.File(path, "r") as file:
        if not {"whitening", "features"} <= file.keys():
            raise ValueError("it holds no features of training photos")
        bank = Bank(*(file[name][()].astype(np.float32) for name in ("whitening", "features")))
    if bank.whitening.shape != (features, features) or bank.features.shape[1:] != (features,):
        raise ValueError(f"its features aren't {features:,} numbers per photo")
    return bank


def _products(rows: Features, others: Features) -> Features:
    """The dot product of each row, (n, features), with each of the others, (m, features): (n, m).

    A single row isn't multiplied with BLAS, because its threads would wait for the cores that run inference.
    """
    return np.asarray(np.einsum("nf,mf->nm", rows, others) if len(rows) == 1 else rows @ others.T)


def _of_earlier(known: Unknown, usual: Histogram | None) -> Thresholds:
    """The thresholds of a version from an earlier version of catdog: its own, and its histogram's edges above that."""
    found = [(KEEP, known.threshold)]
    if usual is not None:
        kept = 1 - np.cumsum(usual.photos[:-1]) / sum(usual.photos)
        above = zip(kept.tolist(), usual.edges, strict=True)
        found += [(share, edge) for share, edge in above if share < KEEP and edge > known.threshold]
    return sorted(found)
