"""Caches the output of a network for photos, for the trainer and the service."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openvino as ov
import PIL
from numpy.typing import NDArray
from PIL import Image

from catdog.engines.engine import Asked
from catdog.engines.openvino import precision_of
from catdog.images import FINGERPRINT
from catdog.network import weights
from catdog.network.architecture import INPUT_PIXELS, Network

FOLDER = "features"  # in the data folder


def libraries(names: Sequence[str]) -> dict[str, str]:
    """The versions of the installed ones."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def _rounding() -> tuple[str, ...]:
    """Versions of what rounds; others may round differently. cykooz-resizer is missing if Pillow resizes."""
    return (ov.__version__, PIL.__version__, *libraries(("cykooz-resizer",)).values())


FORMAT = "2"  # of a cache's file: increase it when what is stored changes
THUMBNAIL_PIXELS = 16  # height and width


class Entry(NamedTuple):
    """The cached values of a photo."""

    row: NDArray[np.float32]  # (length,)
    thumbnail: NDArray[np.uint8]  # grey (16, 16)


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

    def known(self, photos: Iterable[str]) -> set[str]:
        """Those of these photos, by sha256, that are cached."""
        query = "SELECT photo FROM entries WHERE photo IN (SELECT value FROM json_each(?))"
        with self._open() as database:
            return {photo for (photo,) in database.execute(query, (json.dumps(list(photos)),))}

    def add(self, entries: Mapping[str, Entry]) -> None:
        rows = [(photo, entry.row.tobytes(), entry.thumbnail.tobytes()) for photo, entry in entries.items()]
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows)

    def remove(self, photo: str) -> bool:
        """Remove a photo's entry and overwrite its bytes in the file; whether there was one."""
        with self._open() as database:
            database.execute("PRAGMA secure_delete = ON")
            return database.execute("DELETE FROM entries WHERE photo = ?", (photo,)).rowcount > 0

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


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey (16, 16) of a photo, RGB (224, 224, 3)."""
    return np.asarray(Image.fromarray(pixels).convert("L").reduce(INPUT_PIXELS // THUMBNAIL_PIXELS))


def fingerprint(network: Network, asked: Asked) -> str:
    """sha256 over everything that a cache entry depends on, except the photo."""
    architecture, arrays, precision = network.architecture, network.arrays, precision_of(network, asked)
    parts = [FORMAT, FINGERPRINT, precision, architecture.head, *_rounding()]
    if precision == "int8" and network.int8 is not None:
        parts.append(network.int8.sha256)
    parts.append(weights.backbone_fingerprint(architecture, arrays))
    if architecture.head == "classic":
        names = (f"{layer.name}/{array}" for layer in architecture.head_layers for array in ("kernel", "bias"))
        parts.append(weights.fingerprint(arrays[name] for name in names))
    return sha256(" ".join(parts).encode()).hexdigest()
