"""Photos in TAR archives, compressed or not: read from the beginning to the end, in their order."""

import lzma
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from app.classification.photos import Photo, check_size
from catdog.datasets import folders
from catdog.datasets.folders import PICTURE_SUFFIXES
from catdog.errors import ArchiveError, FileLeftOut

SUFFIXES: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
IN_MEMORY_BYTES: Final = 2**24  # of one photo; a larger one waits on the disk
# What tarfile raises for damaged archives.
DAMAGED: Final = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


class _Content:
    """The bytes of a member: in memory, or in a temporary file if there are many."""

    def __init__(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self._file: IO[bytes] = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115  # `__del__` closes it
        if content := archive.extractfile(member):
            shutil.copyfileobj(content, self._file)

    def __del__(self) -> None:
        self._file.close()

    def read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()


def is_tar(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def photos(path: Path, skip: Callable[[], None] = lambda: None) -> Iterator[Photo]:
    """The photos of an archive; `skip` is called for each file that is none.

    If the archive is damaged, the last one has the archive's own path, and its `read` raises ArchiveError.
    """
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # else it keeps a record of every member
                place = PurePosixPath(member.name)
                if member.isdir() or any(map(folders.is_leftover, place.parts)):
                    continue
                if place.suffix.lower() in PICTURE_SUFFIXES:
                    yield Photo(f"{path}/{place}", _taken(archive, member))
                else:
                    skip()
    except DAMAGED as error:
        problem = ArchiveError(f"the TAR is damaged or truncated ({error or type(error).__name__})")
        yield Photo(str(path), partial(_raise, problem))


def _taken(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], bytes]:
    """A function that returns the bytes, which are read now: an archive can't go back."""
    if not member.isreg():
        return partial(_raise, FileLeftOut("it is a link or device in a TAR"))
    try:
        check_size(member.size)
    except FileLeftOut as error:
        return partial(_raise, error)
    return _Content(archive, member).read


def _raise(error: Exception) -> bytes:
    raise error
