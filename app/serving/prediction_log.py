"""Keeps the last predicted photos, so that users can give feedback on them.

    data/uploads/
      019a3c...           one prediction: a line of JSON, then the photo as it was sent
      019a3b....free      a file whose photo was removed, emptied for the next one

A file is named by the prediction's id, and ids sort in the order of the predictions. So there is no index, and any
number of processes may share the folder. The line contains the length of the photo, so that an incomplete file is
recognized. Files aren't synced to the disk: a crash may cost the last few.
"""

import fcntl
import json
import logging
import math
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from time import time, time_ns
from typing import BinaryIO, Self

from app.serving.prediction import Prediction
from app.serving.spare_files import SUFFIX, SpareFiles
from catdog.errors import PredictionNotFound

TIME_DIGITS = 16  # first part of an id: nanoseconds since 1970, in hexadecimal
RANDOM_BYTES = 8
ID = re.compile(f"[0-9a-f]{{{TIME_DIGITS + 2 * RANDOM_BYTES}}}")
FARTHEST = 2**62  # nanoseconds, in 2116: an id beyond that doesn't come from a clock


class PredictionIds:
    """Ids that sort in the order they were made: if the clock is set back, they count on from the last. Thread-safe."""

    def __init__(self) -> None:
        self._last = 0
        self._giving = Lock()

    def new(self) -> str:
        """An id that no other prediction has."""
        with self._giving:
            self._last = max(time_ns(), self._last + 1)
            return f"{self._last:0{TIME_DIGITS}x}{secrets.token_hex(RANDOM_BYTES)}"

    def follow(self, prediction_id: str) -> None:
        """Make ids that sort after this one, which another process may have made."""
        if is_id(prediction_id) and (given := int(prediction_id[:TIME_DIGITS], 16)) < FARTHEST:
            with self._giving:
                self._last = max(given, self._last)


def is_id(text: str) -> bool:
    """Whether the text has the form of a prediction's id, and so of a file's name."""
    return ID.fullmatch(text) is not None


logger = logging.getLogger(__name__)

FOLDER = "uploads"  # in the data folder
DAY_SECONDS = 86_400.0
SWEEP_EVERY = 100  # photos added between two sweeps: listing the folder costs more than writing a photo
SWEEP_SHARE = 20  # or bytes added: a twentieth of the limit


@dataclass(frozen=True)
class LoggedPrediction:
    """The prediction for a kept photo, and the sha256 of its bytes."""

    prediction: Prediction
    sha256: str
    predicted_at: float  # seconds since 1970

    @classmethod
    def read(cls, line: bytes, photo_bytes: int) -> Self:
        """Parse the first line of a file whose photo has `photo_bytes`; ValueError if the file is incomplete."""
        said = json.loads(line)
        if said.get("bytes") != photo_bytes:
            raise ValueError("the photo is cut short")
        prediction = Prediction.model_validate(said["prediction"])
        return cls(prediction, said["sha256"], said.get("at", _predicted_at(prediction.prediction_id)))


class PredictionLog:
    """The last predictions of all processes that share a data folder: at most `keep`, 0 for none, and `keep_bytes`.

    None is kept for longer than `keep_days` and the time until the next sweep. Between two sweeps there may be
    SWEEP_EVERY more photos, or 1/SWEEP_SHARE more bytes.
    """

    def __init__(self, data_dir: Path, keep: int, keep_bytes: int, keep_days: float | None = None) -> None:
        self._folder = data_dir / FOLDER
        self._keep_seconds = math.inf if keep_days is None else keep_days * DAY_SECONDS
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._ids = PredictionIds()
        self._added = self._added_bytes = 0  # since the last sweep
        self._spare = SpareFiles(SWEEP_EVERY)
        self._sizes: dict[str, int] = {}  # of the photos that the last sweep kept, in bytes: files don't change
        self._sweeping = Lock()
        for last in self._names()[:1]:
            self._ids.follow(last)

    def new_id(self) -> str:
        """An id for a prediction that sorts after those of all kept ones."""
        return self._ids.new()

    def add(self, prediction: Prediction, photo: bytes) -> None:
        """Keep a photo; if it can't be written, that is logged, and only feedback on it is impossible."""
        if not self._keep:
            return
        about = {"sha256": sha256(photo).hexdigest(), "bytes": len(photo), "at": time()}
        head = json.dumps({**about, "prediction": prediction.model_dump()}).encode() + b"\n"
        try:
            self._write(prediction.prediction_id, head + photo)
            self._added, self._added_bytes = self._added + 1, self._added_bytes + len(photo)
            if self._added >= SWEEP_EVERY or self._added_bytes * SWEEP_SHARE > self._keep_bytes:
                self._sweep(self._spare.discard)
        except OSError as error:
            logger.warning("a predicted photo can't be kept for feedback: %s", error)

    def get(self, prediction_id: str) -> tuple[LoggedPrediction, bytes]:
        """A prediction and its photo; PredictionNotFound if it isn't kept."""
        try:
            head, _, photo = (self._folder / _checked(prediction_id)).read_bytes().partition(b"\n")
            return LoggedPrediction.read(head, len(photo)), photo
        except (FileNotFoundError, ValueError) as error:
            raise PredictionNotFound(prediction_id) from error

    def newest(self) -> Iterator[LoggedPrediction]:
        """The kept predictions, the newest first."""
        for name in self._names():
            try:
                with (self._folder / name).open("rb") as file:
                    yield _read(file)
            except (FileNotFoundError, ValueError):  # swept in the meantime, or emptied by a power cut
                continue

    def forget(self, sha256: str) -> list[str]:
        """Remove every photo with this content; returns the ids of its predictions, the newest first."""
        return self.forget_earlier({sha256: math.inf})

    def forget_earlier(self, moments: Mapping[str, float]) -> list[str]:
        """Remove the photos with these contents that were predicted before these moments, in seconds since 1970."""
        found = [
            kept.prediction.prediction_id for kept in self.newest() if kept.predicted_at < moments.get(kept.sha256, 0)
        ]
        for name in found:
            (self._folder / name).unlink(missing_ok=True)
        return found

    def sweep(self) -> None:
        """Remove the oldest photos beyond the limits; a failure is logged."""
        self._sweep(Path.unlink)
        self._spare.clear()

    def _sweep(self, remove: Callable[[Path], None]) -> None:
        if not self._sweeping.acquire(blocking=False):
            return
        try:
            self._added = self._added_bytes = 0
            names = self._names()
            for newest in names[:1]:
                self._ids.follow(newest)
            self._sizes = self._swept(names, remove)
        except OSError as error:
            logger.warning("predicted photos can't be removed: %s", error)
        finally:
            self._sweeping.release()

    def _swept(self, names: Sequence[str], remove: Callable[[Path], None]) -> dict[str, int]:
        """Remove the files beyond the limits; returns the sizes of the others. `names` begin with the newest."""
        sizes: dict[str, int] = {}
        kept_bytes, oldest = 0, time() - self._keep_seconds
        for place, name in enumerate(names):
            size = self._sizes.get(name) or self._size(name)
            kept_bytes += size
            if place < self._keep and kept_bytes <= self._keep_bytes and _predicted_at(name) >= oldest:
                sizes[name] = size
                continue
            with suppress(FileNotFoundError):  # another process removed it
                remove(self._folder / name)
        return sizes

    def _size(self, name: str) -> int:
        """Bytes of a file; 0 if another process has removed it."""
        try:
            return (self._folder / name).stat().st_size
        except FileNotFoundError:
            return 0

    def clean(self) -> None:
        """At start-up: sweep, and remove what killed processes left: incomplete files, and emptied ones."""
        self.sweep()
        for spare in self._folder.glob(f"*{SUFFIX}"):
            spare.unlink(missing_ok=True)
        for name in self._names():
            try:
                with (self._folder / name).open("rb") as file:
                    if not _is_whole(file) and _is_left(file):
                        (self._folder / name).unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.warning("an incomplete predicted photo can't be removed: %s", error)

    def _names(self) -> list[str]:
        """Names of the files, the newest first."""
        try:
            with os.scandir(self._folder) as files:
                return sorted((file.name for file in files if is_id(file.name)), reverse=True)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        try:
            with self._created(path) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # marks it as being written, for `_is_left`
                file.write(content)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def _created(self, path: Path) -> BinaryIO:
        try:
            return self._spare.create(path)
        except FileNotFoundError:  # looking for the folder each time would take longer
            self._folder.mkdir(parents=True, exist_ok=True)
            return self._spare.create(path)


def _predicted_at(prediction_id: str) -> float:
    """Seconds since 1970, by the id: older files have no other time."""
    return int(prediction_id[:TIME_DIGITS], 16) / 1e9


def _read(file: BinaryIO) -> LoggedPrediction:
    """Parse a file; ValueError if it is incomplete."""
    line = file.readline()
    return LoggedPrediction.read(line, os.fstat(file.fileno()).st_size - len(line))


def _is_whole(file: BinaryIO) -> bool:
    file.seek(0)
    try:
        _read(file)
    except ValueError:
        return False
    return True


def _is_left(file: BinaryIO) -> bool:
    """Whether the file is incomplete and no process is writing it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return not _is_whole(file)  # it may have been completed just before


def _checked(prediction_id: str) -> str:
    """The id, or PredictionNotFound if it isn't one: it is used as the name of a file."""
    if not is_id(prediction_id):
        raise PredictionNotFound(prediction_id)
    return prediction_id
