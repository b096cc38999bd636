"""What the engine that serves makes of photos. Features are computed once, and kept by photo and backbone."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import openvino as ov
import PIL
from numpy.typing import NDArray
from tqdm import tqdm

from catdog import head
from catdog.architecture import Architecture
from catdog.engines import Arrays, Output
from catdog.engines.openvino import OpenVINOEngine, best_precision
from catdog.errors import DatasetError
from catdog.images import FINGERPRINT
from training.dataset import Photo, Report, decode

LIBRARIES = (ov.__version__, PIL.__version__)  # whose next version may round otherwise
BATCH = 32  # photos decoded, computed and stored at a time


class FeatureCache:
    """What one network makes of photos, by their sha256, in one SQLite file that several processes may use.

    With the pooled head a row is the features, so that every head on one backbone shares them; with the classic head
    it is the logits, then the features.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        with self._open() as database:
            database.execute("CREATE TABLE IF NOT EXISTS rows (photo TEXT PRIMARY KEY, row BLOB) WITHOUT ROWID")

    def read(self) -> dict[str, NDArray[np.float32]]:
        """Everything known: a row (length,) by the photo's sha256."""
        with self._open() as database:
            return {p: np.frombuffer(row, np.float32) for p, row in database.execute("SELECT photo, row FROM rows")}

    def add(self, rows: Mapping[str, NDArray[np.float32]]) -> None:
        with self._open() as database:
            database.executemany(
                "INSERT OR REPLACE INTO rows VALUES (?, ?)", ((p, r.tobytes()) for p, r in rows.items())
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are kept if nothing fails; OSError where the file can't be used."""
        try:
            with closing(sqlite3.connect(self._file, timeout=60)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise OSError(
                f"the features in {self._file} can't be used ({error}); make room, or remove the file"
            ) from error


def outputs(
    photos: Sequence[Photo], architecture: Architecture, arrays: Arrays, cache: Path, report: Report
) -> tuple[tuple[Photo, ...], Output]:
    """The photos that can be read, and what the network says of them: the same numbers as in service.

    Only photos that the folder `cache` doesn't know are computed. A broken one goes to `report` and is left out.
    """
    file = FeatureCache(cache / f"{_fingerprint(architecture, arrays)}.sqlite")
    known = file.read()
    new = [photo for photo in photos if photo.sha256 not in known]
    engine = OpenVINOEngine(architecture, arrays) if new else None  # compiling it takes a second at full width
    for start in tqdm(range(0, len(new), BATCH), "features of new photos", disable=None, unit_scale=BATCH):
        readable, pixels = decode(new[start : start + BATCH], report)
        if readable and engine:
            logits, features = engine.infer(pixels)
            rows = features if architecture.head == "pooled" else np.hstack([logits, features])
            found = {photo.sha256: row for photo, row in zip(readable, rows, strict=True)}
            file.add(found)
            known |= found
    kept = tuple(photo for photo in photos if photo.sha256 in known)
    if not kept:
        raise DatasetError(f"not one of the {len(photos)} photos can be read")
    rows = np.stack([known[photo.sha256] for photo in kept])
    logits, features = np.split(rows, [-architecture.features], axis=1)
    return kept, Output(head.logits(features, arrays) if architecture.head == "pooled" else logits, features)


def _fingerprint(architecture: Architecture, arrays: Arrays) -> str:
    """sha256 of all that a row of the cache depends on, other than the photo."""
    digest = sha256(" ".join([FINGERPRINT, best_precision(), architecture.head, *LIBRARIES]).encode())
    for layer in architecture.backbone_layers if architecture.head == "pooled" else architecture.layers:
        digest.update(arrays[f"{layer.name}/kernel"].tobytes())
        digest.update(arrays[f"{layer.name}/bias"].tobytes())
    return digest.hexdigest()
