"""Computes the features of photos once, and caches them by photo and backbone."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from catdog.engines.engine import Asked, Output, Precision
from catdog.engines.openvino import OpenVINOEngine
from catdog.errors import DatasetError
from catdog.features import THUMBNAIL_PIXELS, Entry, FeatureCache, fingerprint, thumbnail
from catdog.network import head
from catdog.network.architecture import Architecture, Network
from catdog.versions import golden
from training.data.dataset import Photo, Report
from training.data.pixels import decode

BATCH = 32  # photos decoded and stored at a time
TOGETHER = 8  # photos in the engine at a time: 32 are not faster, and their activations take 1 GB in float32
ENGINES = 2  # compiled networks kept for the next use: the serving precision, and float32 to compare it with

Progress = Callable[[int, int], None]  # called with the number of new photos that are done, and of all new photos


class Computed(NamedTuple):
    """A number of photos, and the entries of those among them that can be read, by sha256."""

    photos: int
    entries: Mapping[str, Entry]


# Computes entries of photos, part by part, in any order; reports photos that can't be read.
Compute = Callable[[Sequence[Photo], Network, Asked, Report], Iterator[Computed]]


class Seen(NamedTuple):
    """The photos that could be read, the network's output, and their thumbnails."""

    photos: tuple[Photo, ...]
    output: Output
    thumbnails: NDArray[np.uint8]  # grey (n, 16, 16): averages of the network's input


_engines: dict[str, OpenVINOEngine] = {}  # by the fingerprint of what they compute, least recently used first


def compute_here(photos: Sequence[Photo], network: Network, precision: Asked, report: Report) -> Iterator[Computed]:
    """Compute on this machine, on all cores."""
    engine = _engine(network, precision) if photos else None
    for start in range(0, len(photos), BATCH):
        batch = photos[start : start + BATCH]
        readable, pixels = decode(batch, report)
        found = compute(engine, network.architecture, readable, pixels) if readable and engine else {}
        yield Computed(len(batch), found)


class FeatureExtractor:
    """Computes networks' outputs for photos: the same numbers as in service.

    Only photos that aren't in the folder `cache` are decoded and computed, by `compute`. `report` is called with each
    broken photo, which is left out. `progress` is called with the number of each call's new photos that are done and of
    all of them; without it a progress bar is shown.
    """

    def __init__(
        self, cache: Path, report: Report, progress: Progress | None = None, compute: Compute = compute_here
    ) -> None:
        self._cache = cache
        self.report = report
        self._progress = progress
        self._compute = compute

    def outputs(self, photos: Sequence[Photo], network: Network, precision: Asked = "auto") -> Seen:
        """Like `look`, but raises DatasetError if none of the photos can be read."""
        seen = self.look(photos, network, precision)
        if not seen.photos:
            raise DatasetError(f"none of the {len(photos)} photos can be read")
        return seen

    def look(self, photos: Sequence[Photo], network: Network, precision: Asked = "auto") -> Seen:
        """The network's output for the photos that can be read. Precision "auto" is the one that would serve."""
        file = self._file(network, precision)
        known = file.read(photo.sha256 for photo in photos)
        new = [photo for photo in photos if photo.sha256 not in known]
        parts = self._compute(new, network, precision, self.report)
        for entries in _shown(parts, len(new), self._progress):
            file.add(entries)
            known |= entries
        return _gather(tuple(photo for photo in photos if photo.sha256 in known), known, network)

    def engine(self, network: Network) -> OpenVINOEngine:
        """An engine in the precision that would serve, without a cache."""
        return _engine(network, "auto")

    def of_golden_pictures(self, network: Network, precision: Precision) -> NDArray[np.float32]:
        """Features (4, features) of `catdog.versions.golden.pictures`, cached by backbone and precision."""
        file = self._file(network, precision)
        names = [f"{golden.fingerprint()} {number}" for number in range(len(golden.pictures()))]
        known = file.read(names)
        if len(known) < len(names):
            found = _engine(network, precision).infer(golden.pictures()).features
            thumbnails = map(thumbnail, golden.pictures())
            known = {name: Entry(*entry) for name, *entry in zip(names, found, thumbnails, strict=True)}
            file.add(known)
        return np.stack([known[name].row for name in names])

    def _file(self, network: Network, precision: Asked) -> FeatureCache:
        return FeatureCache(self._cache / f"{fingerprint(network, precision)}.sqlite")


def forget_engines() -> None:
    """Free the compiled networks that are kept for the next use."""
    _engines.clear()


def _engine(network: Network, precision: Asked) -> OpenVINOEngine:
    """An engine for the network; compiling takes a second, so recent ones are reused for the same backbone."""
    name = fingerprint(network, precision)
    engine = _engines.pop(name, None) or OpenVINOEngine(network, precision)
    _engines[name] = engine
    for oldest in list(_engines)[:-ENGINES]:
        del _engines[oldest]
    return engine.with_head(network.arrays) if network.architecture.head == "pooled" else engine


def _shown(parts: Iterable[Computed], photos: int, progress: Progress | None) -> Iterator[Mapping[str, Entry]]:
    """The entries of the parts, whose progress is shown or reported."""
    hidden = None if progress is None and photos else True  # None hides the bar without a terminal
    done = 0
    with tqdm(total=photos, desc="features of new photos", disable=hidden) as bar:
        for part in parts:
            yield part.entries
            done += part.photos
            bar.update(part.photos)
            if progress is not None:
                progress(done, photos)


def compute(
    engine: OpenVINOEngine, architecture: Architecture, photos: Sequence[Photo], pixels: NDArray[np.uint8]
) -> dict[str, Entry]:
    """The entries of decoded photos, uint8 RGB (n, 224, 224, 3)."""
    parts = [engine.infer(pixels[start : start + TOGETHER]) for start in range(0, len(pixels), TOGETHER)]
    logits, features = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    rows = features if architecture.head == "pooled" else np.hstack([logits, features])
    return {photo.sha256: Entry(row, thumbnail(one)) for photo, row, one in zip(photos, rows, pixels, strict=True)}


def _gather(photos: tuple[Photo, ...], known: Mapping[str, Entry], network: Network) -> Seen:
    architecture, arrays = network.architecture, network.arrays
    entries = [known[photo.sha256] for photo in photos]
    length = architecture.features + (architecture.classes if architecture.head == "classic" else 0)
    rows = np.array([entry.row for entry in entries], np.float32).reshape(-1, length)
    grey = np.array([entry.thumbnail for entry in entries], np.uint8)
    logits, features = np.split(rows, [-architecture.features], axis=1)
    output = Output(head.logits(features, arrays) if architecture.head == "pooled" else logits, features)
    return Seen(photos, output, grey.reshape(-1, THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
