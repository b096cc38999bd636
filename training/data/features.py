"""Computes the features of photos once, and caches them by photo and backbone."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openvino as ov
import PIL
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from catdog.engines.engine import Asked, Output, Precision
from catdog.engines.openvino import OpenVINOEngine, precision_of
from catdog.errors import DatasetError
from catdog.images import FINGERPRINT
from catdog.network import head, weights
from catdog.network.architecture import INPUT_PIXELS, Architecture, Network
from catdog.versions import golden
from training.data.dataset import Photo, Report
from training.data.pixels import decode


def libraries(names: Sequence[str]) -> dict[str, str]:
    """The versions of the installed ones."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


# Another version of these may round differently. cykooz-resizer is missing if Pillow resizes.
LIBRARIES = (ov.__version__, PIL.__version__, *libraries(("cykooz-resizer",)).values())
FORMAT = "2"  # of a cache's file: increase it when what is stored changes
BATCH = 32  # photos decoded and stored at a time
TOGETHER = 8  # photos in the engine at a time: 32 are not faster, and their activations take 1 GB in float32
ENGINES = 2  # compiled networks kept for the next use: the serving precision, and float32 to compare it with
THUMBNAIL_PIXELS = 16  # height and width

Progress = Callable[[int, int], None]  # called with the number of new photos that are done, and of all new photos


class Entry(NamedTuple):
    """The cached values of a photo."""

    row: NDArray[np.float32]  # (length,)
    thumbnail: NDArray[np.uint8]  # grey (16, 16)


class Seen(NamedTuple):
    """The photos that could be read, the network's output, and their thumbnails."""

    photos: tuple[Photo, ...]
    output: Output
    thumbnails: NDArray[np.uint8]  # grey (n, 16, 16): averages of the network's input


_engines: dict[str, OpenVINOEngine] = {}  # by the fingerprint of what they compute, least recently used first


class FeatureCache:
    """One network's output for photos, by their sha256, in one SQLite file that several processes may use.

    With the pooled head a row is the features, so all heads on one backbone share them; with the classic head it is
    the logits, then the features.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        with self._open() as database:
            database.execute("CREATE TABLE IF NOT EXISTS entries (photo TEXT PRIMARY KEY, row BLOB, thumbnail BLOB)")

    def read(self, photos: Iterable[str]) -> dict[str, Entry]:
        """The entries of those photos, by sha256, that are cached."""
        asked = json.dumps(list(photos))
        query = "SELECT * FROM entries WHERE photo IN (SELECT value FROM json_each(?))"
        with self._open() as database:
            return {
                photo: Entry(
                    np.frombuffer(row, np.float32), np.frombuffer(grey, np.uint8).reshape(THUMBNAIL_PIXELS, -1)
                )
                for photo, row, grey in database.execute(query, (asked,))
            }

    def add(self, entries: Mapping[str, Entry]) -> None:
        rows = [(photo, entry.row.tobytes(), entry.thumbnail.tobytes()) for photo, entry in entries.items()]
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits unless an exception is raised; OSError if the file can't be used."""
        try:
            with closing(sqlite3.connect(self._file, timeout=60)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise OSError(
                f"the features in {self._file} can't be used ({error}); free disk space, or remove the file"
            ) from error


class FeatureExtractor:
    """Computes networks' outputs for photos: the same numbers as in service.

    Only photos that aren't in the folder `cache` are decoded and computed. `report` is called with each broken photo,
    which is left out. `progress` is called with the number of each call's new photos that are done and of all of them;
    without it a progress bar is shown.
    """

    def __init__(self, cache: Path, report: Report, progress: Progress | None = None) -> None:
        self._cache = cache
        self.report = report
        self._progress = progress

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
        engine = _engine(network, precision) if new else None
        for batch in _batches(new, self._progress):
            readable, pixels = decode(batch, self.report)
            if readable and engine:
                found = _compute(engine, network.architecture, readable, pixels)
                file.add(found)
                known |= found
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


def _batches(photos: Sequence[Photo], progress: Progress | None) -> Iterator[Sequence[Photo]]:
    starts = range(0, len(photos), BATCH)
    hidden = None if progress is None and photos else True  # None hides the bar without a terminal
    for start in tqdm(starts, "features of new photos", disable=hidden, unit_scale=BATCH):
        yield photos[start : start + BATCH]
        if progress is not None:
            progress(min(start + BATCH, len(photos)), len(photos))


def _compute(
    engine: OpenVINOEngine, architecture: Architecture, photos: Sequence[Photo], pixels: NDArray[np.uint8]
) -> dict[str, Entry]:
    parts = [engine.infer(pixels[start : start + TOGETHER]) for start in range(0, len(pixels), TOGETHER)]
    logits, features = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    rows = features if architecture.head == "pooled" else np.hstack([logits, features])
    return {photo.sha256: Entry(row, thumbnail(one)) for photo, row, one in zip(photos, rows, pixels, strict=True)}


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey (16, 16) of a photo, RGB (224, 224, 3)."""
    return np.asarray(Image.fromarray(pixels).convert("L").reduce(INPUT_PIXELS // THUMBNAIL_PIXELS))


def _gather(photos: tuple[Photo, ...], known: Mapping[str, Entry], network: Network) -> Seen:
    architecture, arrays = network.architecture, network.arrays
    entries = [known[photo.sha256] for photo in photos]
    length = architecture.features + (architecture.classes if architecture.head == "classic" else 0)
    rows = np.array([entry.row for entry in entries], np.float32).reshape(-1, length)
    grey = np.array([entry.thumbnail for entry in entries], np.uint8)
    logits, features = np.split(rows, [-architecture.features], axis=1)
    output = Output(head.logits(features, arrays) if architecture.head == "pooled" else logits, features)
    return Seen(photos, output, grey.reshape(-1, THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))


def fingerprint(network: Network, asked: Asked) -> str:
    """sha256 over everything that a cache entry depends on, except the photo."""
    architecture, arrays, precision = network.architecture, network.arrays, precision_of(network, asked)
    parts = [FORMAT, FINGERPRINT, precision, architecture.head, *LIBRARIES]
    if precision == "int8" and network.int8 is not None:
        parts.append(network.int8.sha256)
    parts.append(weights.backbone_fingerprint(architecture, arrays))
    if architecture.head == "classic":
        names = (f"{layer.name}/{array}" for layer in architecture.head_layers for array in ("kernel", "bias"))
        parts.append(weights.fingerprint(arrays[name] for name in names))
    return sha256(" ".join(parts).encode()).hexdigest()
