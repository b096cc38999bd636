"""Files with many kept photos, one after another: a file for each would cost more than its photo.

A record is a line of JSON, then the photo. The line contains the length of the photo, so that an incomplete record, the
last one of a process that was killed, is recognized. A process locks the file that it writes, and writes only new ones.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, NamedTuple

ATTEMPTS = 2  # to write a record, if its file is deleted meanwhile


class Record(NamedTuple):
    """A complete record: positions in bytes of its line, its photo and its end, and the parsed line."""

    start: int
    photo: int
    end: int
    about: Mapping[str, Any]

    @property
    def is_erased(self) -> bool:
        return "prediction" not in self.about


def line(about: Mapping[str, Any], photo_bytes: int) -> bytes:
    """The first line of a record."""
    return json.dumps({**about, "bytes": photo_bytes}).encode() + b"\n"


def records(path: Path) -> Iterator[Record]:
    """The complete records of a file; FileNotFoundError if another process has deleted it."""
    start = 0
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        while True:
            file.seek(start)
            first = file.readline()
            try:
                about = json.loads(first)
                photo = start + len(first)
                end = photo + about["bytes"]
            except (ValueError, TypeError, KeyError):
                return
            if not photo <= end <= size:
                return
            yield Record(start, photo, end, about)
            start = end


def photo(path: Path, record: Record) -> bytes:
    """The photo of a record; FileNotFoundError if another process has deleted the file."""
    with path.open("rb") as file:
        file.seek(record.photo)
        return file.read(record.end - record.photo)


def erase(path: Path, record: Record) -> None:
    """Overwrite a record: first the photo, so that it is found again if the process ends in between."""
    erased = line({}, record.end - record.photo)
    with suppress(FileNotFoundError), path.open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), bytes(record.end - record.photo), record.photo)
        os.pwrite(file.fileno(), erased[:-1].ljust(record.photo - record.start - 1) + b"\n", record.start)


def remove(path: Path) -> None:
    """Delete a file, unless a process writes it just now or has deleted it."""
    with suppress(BlockingIOError, FileNotFoundError), path.open("r+b") as file:  # NFS has no such lock for reading
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def trim(path: Path) -> None:
    """Cut off an incomplete record that a killed process left, and delete a file in which nothing is left."""
    with suppress(BlockingIOError, FileNotFoundError), path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        end, is_empty = 0, True
        for record in records(path):
            end, is_empty = record.end, is_empty and record.is_erased
        if is_empty:
            path.unlink()
        elif end < os.fstat(file.fileno()).st_size:
            os.truncate(path, end)


@dataclass
class PhotoFile:
    """The file that a process is writing: its path, and the photos and bytes that it contains."""

    path: Path
    file: BinaryIO
    photos: int = 0
    size: int = 0


class PhotoWriter:
    """Writes records into files of at most `photos`, or a few more bytes than `size`. Thread-safe."""

    def __init__(self, photos: int, size: int) -> None:
        self._photos = photos
        self._size = size
        self._now: PhotoFile | None = None
        self._writing = Lock()

    def add(self, path: Path, about: Mapping[str, Any], content: bytes) -> PhotoFile | None:
        """Write a record; if no file has room for it, into a new one at `path`. Returns a file that it has filled.

        An OSError leaves no part of the record.
        """
        head = line(about, len(content))
        with self._writing:
            for _ in range(ATTEMPTS):
                now = self._now = self._now or _begun(path)
                self._append(now, head, content)
                if os.fstat(now.file.fileno()).st_nlink:
                    break
                self._end()
            if now.photos < self._photos and now.size < self._size:
                return None
            self._end()
            return now

    def close(self) -> None:
        """End the present file; another record begins a new one."""
        with self._writing:
            self._end()

    def _append(self, now: PhotoFile, head: bytes, content: bytes) -> None:
        whole = len(head) + len(content)
        try:
            if os.writev(now.file.fileno(), [head, content]) < whole:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(now.path))
        except OSError:
            now.file.truncate(now.file.seek(now.size))
            if not now.size:
                now.path.unlink(missing_ok=True)
                self._end()
            raise
        now.photos, now.size = now.photos + 1, now.size + whole

    def _end(self) -> None:
        if self._now is not None:
            self._now.file.close()
            self._now = None


def _begun(path: Path) -> PhotoFile:
    """A new, locked file, also where its folder has yet to be made."""
    try:
        file = path.open("xb", buffering=0)
    except FileNotFoundError:  # looking for the folder each time would take longer
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("xb", buffering=0)
    fcntl.flock(file, fcntl.LOCK_EX)
    return PhotoFile(path, file)
