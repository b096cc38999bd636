"""Finds the photos to classify: in folders, archives, object stores and lists."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from app.classification.photos import Archive, Photo, check_size
from catdog.datasets import folders
from catdog.datasets.folders import HEAD_BYTES, PICTURE_SUFFIXES
from catdog.errors import ArchiveError, CatdogError, FileLeftOut
from command.classify import lists, remote, tar

STDIN: Final = "-"


class NoSource(CatdogError):
    """A source that holds nothing to classify."""


@dataclass
class Sources:
    """The sources of a command, in their order."""

    given: tuple[str, ...]
    stdin: Iterable[str] = ()
    column: str = lists.COLUMN  # of tables that list photos
    skipped: int = 0  # files in folders and archives that are no photos

    def __post_init__(self) -> None:
        self._last: tuple[Path, Archive] | None = None  # that `read` used
        self._tar: tuple[Path, Iterator[Photo]] | None = None
        for source in self.given:
            if remote.is_url(source):
                remote.check(source)
            elif lists.is_list(Path(source)):
                lists.check(Path(source), self.column)
            elif source != STDIN and not Path(source).exists() and not _matches(source):
                raise NoSource(f"there is no file or folder {source}, and none matches it as a pattern")

    def photos(self) -> Iterator[Photo]:
        """Every photo, one after the other: neither a list of them nor their bytes are kept in memory."""
        self.skipped = 0
        for source in self.given:
            if source == STDIN:
                yield from (listed(line.removesuffix("\n")) for line in self.stdin if line.strip())
            elif remote.is_url(source):
                yield from self._in_store(source)
            elif lists.is_list(Path(source)):
                yield from map(listed, lists.values(Path(source), self.column))
            elif not Path(source).exists():
                yield from self._matching(source)
            else:
                yield from self._below(Path(source), is_named=True)

    def count(self) -> int | None:
        """The number of photos; None if counting takes long, or needs what can be read only once."""
        if any(source == STDIN or remote.is_url(source) or tar.is_tar(Path(source)) for source in self.given):
            return None
        return sum(1 for _ in Sources(self.given, column=self.column).photos())

    def read(self, path: str) -> bytes:
        """The bytes of a photo in an archive or a store by its `path`; OSError, CatdogError.

        Photos of a TAR should be read in their order.
        """
        if remote.is_url(path):
            return remote.read(path)
        archive = next(parent for parent in Path(path).parents if _is_zip(parent) or tar.is_tar(parent))
        if tar.is_tar(archive):
            return self._read_from_tar(archive, path)
        if self._last is None or self._last[0] != archive:
            self._last = archive, Archive(archive)
        return self._last[1].read(PurePosixPath(path).relative_to(archive))

    def _read_from_tar(self, archive: Path, path: str) -> bytes:
        if self._tar is not None and self._tar[0] == archive:
            for photo in self._tar[1]:
                if photo.path == path:
                    return photo.read()
        self._tar = archive, tar.photos(archive)
        return next(photo for photo in self._tar[1] if photo.path == path).read()

    def contains(self, folder: Path) -> bool:
        """Whether a folder is one of the source folders, or lies in one."""
        within = folder.absolute().resolve()
        return any(within.is_relative_to(Path(source).resolve()) for source in self.given if Path(source).is_dir())

    def _matching(self, pattern: str) -> Iterator[Photo]:
        for path in _matches(pattern):
            yield from self._below(Path(path), is_named=True)

    def _below(self, path: Path, is_named: bool = False) -> Iterator[Photo]:
        """The photos of a file or folder; a file that is named itself is a photo, with any content."""
        if path.is_dir():
            yield from self._in_folder(path, frozenset())
        elif _is_zip(path):
            yield from self._in_zip(path)
        elif tar.is_tar(path):
            yield from tar.photos(path, self._skip)
        elif is_named or _is_picture(path):
            yield _named(str(path))
        else:
            self.skipped += 1

    def _in_folder(self, folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Photo]:
        """In the order of names. A link back to a folder that it is in is skipped."""
        try:
            status = folder.stat()
            names = sorted(entry.name for entry in os.scandir(folder) if not folders.is_leftover(entry.name))
        except OSError as error:
            reason = error
            yield Photo(str(folder), lambda: _raise(reason))
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            self.skipped += 1
            return
        for name in names:
            path = folder / name
            if path.is_dir():
                yield from self._in_folder(path, above | {here})
            else:
                yield from self._below(path)

    def _in_store(self, source: str) -> Iterator[Photo]:
        for url in remote.listed(source):
            if url == source or PurePosixPath(url).suffix.lower() in PICTURE_SUFFIXES:
                yield remote.photo(url)
            else:
                self._skip()

    def _skip(self) -> None:
        self.skipped += 1

    def _in_zip(self, path: Path) -> Iterator[Photo]:
        try:
            archive = Archive(path)
        except (ArchiveError, OSError) as error:
            reason = error
            yield Photo(str(path), lambda: _raise(reason))
            return
        self.skipped += archive.skipped
        yield from archive.photos(f"{path}/")


def listed(path: str) -> Photo:
    """The photo at a path or URL, whatever is there."""
    return remote.photo(path) if remote.is_url(path) else _named(path)


def _named(path: str) -> Photo:
    file = Path(path)
    return Photo(path, lambda: _read(file), file)


def _read(file: Path) -> bytes:
    status = file.stat()
    if not stat.S_ISREG(status.st_mode) and not file.is_dir():  # reading a pipe may never end
        raise FileLeftOut("it is a pipe, socket or device")
    check_size(status.st_size)
    return file.read_bytes()


def _is_picture(path: Path) -> bool:
    """Whether a file in a folder is meant to be a photo: by its name, or else by its first bytes."""
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return True
    try:
        if not path.is_file():  # a pipe would never end
            return False
        with path.open("rb") as file:
            return folders.fault_of(file.read(HEAD_BYTES)) is None
    except OSError:
        return False


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and path.is_file()


def _matches(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # Path.glob knows no absolute patterns


def _raise(error: CatdogError | OSError) -> bytes:
    raise error
