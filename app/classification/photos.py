"""The photos to classify, and those in a ZIP."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from catdog.datasets import folders, safe_zip
from catdog.datasets.folders import PICTURE_SUFFIXES
from catdog.errors import FileLeftOut

LIMIT_BYTES: Final = 2**28  # of a file: the largest photo within the limits of pixels takes less


class Photo(NamedTuple):
    """One input. `read` returns its bytes; it raises OSError or CatdogError.

    `path` is its name in the result: of a file in an archive that of the archive, a slash, and its place in it. `file`
    is None for these. Reading a remote one means waiting, so that many are read at a time.
    """

    path: str
    read: Callable[[], bytes]
    file: Path | None = None
    is_remote: bool = False


def check_size(count: int, limit_bytes: int = LIMIT_BYTES) -> None:
    """Raise FileLeftOut for a file with more bytes than the limit."""
    if count > limit_bytes:
        raise FileLeftOut(f"it has more than {limit_bytes:,} bytes, the limit of a photo")


class Archive:
    """An open ZIP, closed when nothing refers to it any more: when its last photo has been read.

    ArchiveError if it is no ZIP, or hostile. `skipped` is the number of its files that are no photos.
    """

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._open = ExitStack()
        self._limit_bytes = limit_bytes
        self._zipped = self._open.enter_context(safe_zip.opened(path))
        visible = [place for place in self._zipped.members if not any(map(folders.is_leftover, place.parts))]
        self.places = sorted(place for place in visible if place.suffix.lower() in PICTURE_SUFFIXES)
        self.skipped = len(visible) - len(self.places)

    def __del__(self) -> None:
        self._open.close()

    def photos(self, prefix: str = "") -> Iterator[Photo]:
        """Its photos in the order of their names, with this prefix to each path."""
        for place in self.places:
            yield Photo(f"{prefix}{place}", partial(self.read, place))

    def read(self, place: PurePosixPath) -> bytes:
        """The bytes of a photo; ArchiveError, FileLeftOut, OSError."""
        check_size(self._zipped.members[place].file_size, self._limit_bytes)
        return b"".join(self._zipped.read(place))
