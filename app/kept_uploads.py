"""The last predicted photos, kept so that somebody can say what they really show.

    data/uploads/
      019a3c...           one prediction: a line of JSON, then the photo as it came

A file is named by the prediction's id, whose order is that of time, so nothing else needs to be kept, and any number
of processes may share the folder. The line says how long the photo is, so that one which is still being written, or
never was to the end, is no photo. Nothing here is brought to the disk at once: a crash may cost the last few.
"""

import json
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from threading import Lock
from time import time_ns
from typing import Self

from app.schemas import Prediction
from catdog.errors import PredictionNotFound

logger = logging.getLogger(__name__)

FOLDER = "uploads"  # in the data folder
SWEEP_EVERY = 50  # photos kept between two looks at what is too many: listing the folder costs more than writing one


ID_TIME_DIGITS = 16  # of an id: nanoseconds since 1970, in hexadecimal
ID_RANDOM_BYTES = 8


@dataclass(frozen=True)
class Kept:
    """What was answered for a photo that is kept, and the sha256 of its bytes."""

    prediction: Prediction
    sha256: str

    @property
    def predicted_at(self) -> float:
        """Seconds since 1970."""
        return int(self.prediction.prediction_id[:ID_TIME_DIGITS], 16) / 1e9

    @classmethod
    def read(cls, line: bytes, photo_bytes: int) -> Self:
        """The head of a file, before a photo of so many bytes; ValueError where it isn't whole."""
        said = json.loads(line)
        if said.get("bytes") != photo_bytes:
            raise ValueError("the photo is cut short")
        return cls(Prediction.model_validate(said["prediction"]), said["sha256"])


def new_id() -> str:
    """An id that no other prediction has; later ones sort behind earlier ones."""
    return f"{time_ns():0{ID_TIME_DIGITS}x}{secrets.token_hex(ID_RANDOM_BYTES)}"


class KeptUploads:
    """The last `keep` predictions of all processes that share a data folder; `keep` 0 keeps none."""

    def __init__(self, data_dir: Path, keep: int) -> None:
        self._folder = data_dir / FOLDER
        self._keep = keep
        self._counted = count(1)
        self._sweeping = Lock()

    def add(self, prediction: Prediction, photo: bytes) -> None:
        """Keep a photo; a disk that can't take it costs the feedback on it and not its answer, and is logged."""
        if not self._keep:
            return
        kept = {"sha256": sha256(photo).hexdigest(), "bytes": len(photo), "prediction": prediction.model_dump()}
        head = json.dumps(kept).encode() + b"\n"
        try:
            self._write(prediction.prediction_id, head + photo)
            if next(self._counted) % SWEEP_EVERY == 0:
                self.sweep()
        except OSError as error:
            logger.warning("a predicted photo can't be kept for feedback: %s", error)

    def get(self, prediction_id: str) -> tuple[Kept, bytes]:
        """A prediction and its photo; PredictionNotFound where it isn't kept."""
        try:
            head, _, photo = (self._folder / _checked(prediction_id)).read_bytes().partition(b"\n")
            return Kept.read(head, len(photo)), photo
        except (FileNotFoundError, ValueError) as error:
            raise PredictionNotFound(prediction_id) from error

    def newest(self) -> Iterator[Kept]:
        """The kept predictions, the last one first."""
        for name in self._names():
            try:
                with (self._folder / name).open("rb") as file:
                    line = file.readline()
                    yield Kept.read(line, os.fstat(file.fileno()).st_size - len(line))
            except (FileNotFoundError, ValueError):  # it became one too many meanwhile, or a power cut emptied it
                continue

    def sweep(self) -> None:
        """Remove what is too many; what can't be removed is logged."""
        if not self._sweeping.acquire(blocking=False):
            return
        try:
            for name in self._names()[self._keep :]:
                (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            logger.warning("predicted photos can't be removed: %s", error)
        finally:
            self._sweeping.release()

    def _names(self) -> list[str]:
        """The last one first."""
        try:
            with os.scandir(self._folder) as files:
                return sorted((file.name for file in files), reverse=True)
        except FileNotFoundError:
            return []

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError:
            path.unlink(missing_ok=True)
            raise


def _checked(prediction_id: str) -> str:
    """The id, if it is one: it names a file."""
    if len(prediction_id) != ID_TIME_DIGITS + 2 * ID_RANDOM_BYTES or not set(prediction_id) <= set("0123456789abcdef"):
        raise PredictionNotFound(prediction_id)
    return prediction_id
