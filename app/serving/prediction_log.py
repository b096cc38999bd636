"""Keeps the last predicted photos, so that users can give feedback on them.

    data/uploads/
      019a3c...           some predictions, at most a tenth of those that are kept, as in `photo_files`

A file is named by the id of its first prediction, and ids sort in the order of the predictions. So there is no index,
and any number of processes may share the folder. Files aren't synced to the disk: a crash may cost the last few.
"""

import logging
import math
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from time import time, time_ns
from typing import NamedTuple, Self

from app.serving import photo_files
from app.serving.photo_files import PhotoWriter, Record
from app.serving.prediction import Prediction
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
EMPTIED = ".free"  # suffix of files that earlier versions of the service emptied, to use them again
DAY_SECONDS = 86_400.0
FILES = 10  # for the photos to keep: with more the limits are checked more often, with fewer more photos go at once


@dataclass(frozen=True)
class LoggedPrediction:
    """The prediction for a kept photo, and the sha256 of its bytes."""

    prediction: Prediction
    sha256: str
    predicted_at: float  # seconds since 1970

    @classmethod
    def of(cls, record: Record) -> Self:
        """Parse the line of a record that isn't erased."""
        prediction = Prediction.model_validate(record.about["prediction"])
        at = record.about.get("at", _predicted_at(prediction.prediction_id))
        return cls(prediction, record.about["sha256"], at)


class Place(NamedTuple):
    """Where a kept prediction is."""

    path: Path
    record: Record
    kept: LoggedPrediction

    @property
    def id(self) -> str:
        return self.kept.prediction.prediction_id


class Content(NamedTuple):
    """What a file contains: bytes, the number of photos, and the newest prediction's id."""

    size: int
    photos: int
    newest: str


class PredictionLog:
    """The last predictions of all processes that share a data folder: `keep`, 0 for none, in at most `keep_bytes`.

    The oldest are removed together, so there may be a tenth more. None is kept for longer than `keep_days` and the time
    until the next sweep.
    """

    def __init__(self, data_dir: Path, keep: int, keep_bytes: int, keep_days: float | None = None) -> None:
        self._folder = data_dir / FOLDER
        self._keep_seconds = math.inf if keep_days is None else keep_days * DAY_SECONDS
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._ids = PredictionIds()
        self._writer = PhotoWriter(max(1, keep // FILES), keep_bytes // (2 * FILES))
        self._contents: dict[str, Content] = {}  # of files, by name, when they were last looked at
        self._sweeping = Lock()
        for last in self._names()[:1]:
            self._ids.follow(self._content(last).newest)

    def new_id(self) -> str:
        """An id for a prediction that sorts after those of all kept ones."""
        return self._ids.new()

    def add(self, prediction: Prediction, photo: bytes) -> None:
        """Keep a photo; if it can't be written, that is logged, and only feedback on it is impossible."""
        if not self._keep:
            return
        newest = prediction.prediction_id
        about = {"sha256": sha256(photo).hexdigest(), "at": time(), "prediction": prediction.model_dump()}
        try:
            if (full := self._writer.add(self._folder / newest, about, photo)) is not None:
                self._contents[full.path.name] = Content(full.size, full.photos, newest)
                self.sweep()
        except OSError as error:
            logger.warning("a predicted photo can't be kept for feedback: %s", error)

    def get(self, prediction_id: str) -> tuple[LoggedPrediction, bytes]:
        """A prediction and its photo; PredictionNotFound if it isn't kept."""
        if not is_id(prediction_id):
            raise PredictionNotFound(prediction_id)
        names = self._names()
        earlier = [name for name in names if name <= prediction_id]  # nearly always in the first of them
        for name in [*earlier, *reversed(names[: len(names) - len(earlier)])]:
            for place in self._places(name):
                if place.id == prediction_id and (photo := _photo(place)) is not None:
                    return place.kept, photo
        raise PredictionNotFound(prediction_id)

    def newest(self) -> Iterator[LoggedPrediction]:
        """The kept predictions, the newest first."""
        return (place.kept for place in self._all())

    def forget(self, sha256: str) -> list[str]:
        """Remove every photo with this content; returns the ids of its predictions, the newest first."""
        return self.forget_earlier({sha256: math.inf})

    def forget_earlier(self, moments: Mapping[str, float]) -> list[str]:
        """Remove the photos with these contents that were predicted before these moments, in seconds since 1970."""
        found = [place for place in self._all() if place.kept.predicted_at < moments.get(place.kept.sha256, 0)]
        _erase(found)
        return [place.id for place in found]

    def sweep(self) -> None:
        """Remove the oldest photos beyond the limits; a failure is logged."""
        if not self._sweeping.acquire(blocking=False):
            return
        try:
            self._contents = {name: self._content(name) for name in self._names()}
            self._sweep()
        except OSError as error:
            logger.warning("predicted photos can't be removed: %s", error)
        finally:
            self._sweeping.release()

    def clean(self) -> None:
        """At start-up: sweep, and remove what killed processes left."""
        self.sweep()
        try:
            for left in self._folder.glob(f"*{EMPTIED}"):
                left.unlink(missing_ok=True)
            for name in self._names():
                photo_files.trim(self._folder / name)
        except OSError as error:
            logger.warning("an incomplete predicted photo can't be removed: %s", error)

    def close(self) -> None:
        """Close the file that is being written."""
        self._writer.close()

    def _sweep(self) -> None:
        photos = size = 0
        oldest = time() - self._keep_seconds
        for name, content in sorted(self._contents.items(), key=lambda item: item[1].newest, reverse=True):
            self._ids.follow(content.newest)
            size += content.size
            if photos >= self._keep or size > self._keep_bytes:
                photo_files.remove(self._folder / name)
            elif _predicted_at(name) < oldest:
                _erase([place for place in self._places(name) if _predicted_at(place.id) < oldest])
            photos += content.photos

    def _all(self) -> Sequence[Place]:
        places = [place for name in self._names() for place in self._places(name)]
        return sorted(places, key=lambda place: place.id, reverse=True)

    def _places(self, name: str) -> Iterator[Place]:
        """The predictions of a file; none if it is deleted meanwhile."""
        path = self._folder / name
        with suppress(FileNotFoundError):
            for record in photo_files.records(path):
                if not record.is_erased:
                    yield Place(path, record, LoggedPrediction.of(record))

    def _content(self, name: str) -> Content:
        """What a file contains, which is only looked up if it has grown."""
        try:
            size = (self._folder / name).stat().st_size
        except FileNotFoundError:  # another process has removed it
            size = 0
        if (known := self._contents.get(name)) is not None and known.size == size:
            return known
        ids = [place.id for place in self._places(name)]
        return Content(size, len(ids), max([name, *ids]))

    def _names(self) -> list[str]:
        """Names of the files, the newest first."""
        try:
            with os.scandir(self._folder) as files:
                return sorted((file.name for file in files if is_id(file.name)), reverse=True)
        except (FileNotFoundError, NotADirectoryError):
            return []


def _predicted_at(prediction_id: str) -> float:
    """Seconds since 1970, by the id: older records have no other time."""
    return int(prediction_id[:TIME_DIGITS], 16) / 1e9


def _erase(places: Sequence[Place]) -> None:
    """Overwrite photos, and delete the files in which no other is left."""
    for place in places:
        photo_files.erase(place.path, place.record)
    for path in {place.path for place in places}:
        photo_files.trim(path)


def _photo(place: Place) -> bytes | None:
    """The photo; None if it was removed meanwhile, or a crash has damaged it."""
    try:
        photo = photo_files.photo(place.path, place.record)
    except FileNotFoundError:
        return None
    return photo if sha256(photo).hexdigest() == place.kept.sha256 else None
