"""Pictures in a bucket, one object for each content, named by its sha256 as in a folder.

    s3://BUCKET/pictures/
      3f/3f9c...             a picture; no object here ever changes
      .database              the identity of the database that names the pictures

No transaction waits for the bucket. So a removal is noted in the table `removals` before it begins and when it is done.
A picture that was removed since it was placed is placed again, and one that is being removed can't be added yet. If the
bucket doesn't answer, the request to remove may still be carried out later; the picture can't be added for so long.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256 as sha256_hash
from itertools import groupby
from pathlib import Path
from time import monotonic, time
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from catdog.database import Database
from catdog.datasets.picture_files import MARK
from catdog.datasets.picture_place import Stored
from catdog.datasets.rows import in_parts, unreferenced
from catdog.errors import DatasetError, StoreUnavailable
from catdog.system.object_store import Conflict, Objects
from catdog.tables import removals

TOGETHER: Final = 8  # pictures uploaded at a time, each in memory
YOUNG: Final = timedelta(days=1)  # age of objects that a sweep leaves: their rows may be on their way
HELD_SECONDS: Final = 600.0  # within which a server that hung may carry out a request to remove
NOTED_SECONDS: Final = 7 * 86_400.0  # for which removals are remembered, longer than any upload takes
SPARED_SECONDS: Final = 1.0  # after a request without an answer, others fail at once for so long

_PICTURE: Final = re.compile("[0-9a-f]{2}/([0-9a-f]{64})")


class PictureBucket:
    """The pictures below one URL, for all threads of a process."""

    is_remote = True

    def __init__(self, url: str) -> None:
        self._objects = Objects(url)
        self._owner: str | None = None
        self._spared: tuple[float, str] = 0.0, ""  # until when requests fail without waiting, and why

    def __str__(self) -> str:
        return self._objects.url

    def file(self, sha256: str) -> Stored:
        return _Object(self, sha256)

    def read(self, sha256: str) -> bytes:
        """The content of a picture; FileNotFoundError, DatasetError if the object has another one."""
        with self._answered():
            content, _ = self._objects.get(_name(sha256))
        if sha256_hash(content).hexdigest() != sha256:
            raise DatasetError(f"the picture {sha256} has other bytes in {self}; add it again, or remove it")
        return content

    def check(self) -> None:
        with self._answered(), suppress(FileNotFoundError):
            self._objects.get(MARK)

    def place(self, files: Mapping[str, Path], database: Database) -> int:
        with database.reading() as connection:
            placed = connection.scalar(select(func.max(removals.c.id))) or 0
            for some in in_parts(list(files)):
                _refuse_held(connection, some)
        with ThreadPoolExecutor(min(TOGETHER, max(1, len(files)))) as threads:
            list(threads.map(self._put, files, files.values()))
        return placed

    def confirm(self, connection: Connection, files: Mapping[str, Path], placed: int) -> None:
        for some in in_parts(list(files)):
            is_mine = removals.c.id > placed, removals.c.sha256.in_(some)
            if connection.scalar(select(removals.c.id).where(*is_mine).limit(1)) is not None:
                raise Conflict

    def remove(self, digests: Collection[str], database: Database) -> int:
        with database.writing() as connection:
            if not (found := sorted(unreferenced(connection, digests))):
                return 0
            noted = [{"sha256": digest, "at": time(), "is_done": False} for digest in found]
            ids = list(connection.scalars(insert(removals).returning(removals.c.id), noted))
        with self._answered():
            self._objects.delete(map(_name, found))
        with database.writing() as connection:
            connection.execute(update(removals).where(removals.c.id.in_(ids)).values(is_done=True))
            connection.execute(delete(removals).where(removals.c.at < time() - NOTED_SECONDS))
        return len(found)

    def by_folder(self) -> Iterator[set[str]]:
        before = datetime.now(UTC) - YOUNG
        old = (name for name, written in self._objects.names("") if written < before)
        pictures = (match[1] for match in map(_PICTURE.fullmatch, old) if match)
        for _, some in groupby(pictures, lambda sha256: sha256[:2]):
            yield set(some)

    def owner(self) -> str | None:
        if self._owner is None:
            with self._answered(), suppress(FileNotFoundError):
                self._owner = self._objects.get(MARK)[0].decode().strip()
        return self._owner

    def own(self, identity: str) -> None:
        with self._answered():
            try:
                _, tag = self._objects.get(MARK)
            except FileNotFoundError:
                tag = None
            with suppress(Conflict):  # another machine has just done it
                self._objects.put(MARK, f"{identity}\n".encode(), tag)
        self._owner = None

    def _put(self, sha256: str, file: Path) -> None:
        content, name = file.read_bytes(), _name(sha256)
        with self._answered():
            try:
                self._objects.put(name, content)
            except Conflict:  # it is there already, unless it is damaged
                try:
                    there, tag = self._objects.get(name)
                except FileNotFoundError as error:  # removed in between
                    raise Conflict from error
                if there != content:
                    self._objects.put(name, content, tag)

    @contextmanager
    def _answered(self) -> Iterator[None]:
        until, reason = self._spared
        if monotonic() < until:  # else requests that wait for a thread would wait for minutes
            raise StoreUnavailable(reason)
        try:
            yield
        except StoreUnavailable as error:
            self._spared = monotonic() + SPARED_SECONDS, error.reason
            raise


@dataclass(frozen=True)
class _Object:
    """A picture in a bucket."""

    bucket: PictureBucket
    sha256: str

    def __str__(self) -> str:
        return f"{self.bucket}/{_name(self.sha256)}"

    def read_bytes(self) -> bytes:
        return self.bucket.read(self.sha256)


@cache
def bucket(url: str) -> PictureBucket:
    """One for each process, so that it keeps its connections."""
    return PictureBucket(url)


def _refuse_held(connection: Connection, digests: Sequence[str]) -> None:
    """StoreUnavailable if one of these pictures is being removed."""
    is_held = removals.c.is_done.is_(False), removals.c.at > time() - HELD_SECONDS
    query = select(removals.c.sha256).where(removals.c.sha256.in_(digests), *is_held).limit(1)
    if (held := connection.scalar(query)) is not None:
        raise StoreUnavailable(f"the picture {held} is being removed; it can be added again in a while")


def _name(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"
