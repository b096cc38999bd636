"""Streams a data set as a ZIP with a folder for each class, which can be uploaded again."""

from collections.abc import Callable, Iterable, Iterator
from time import gmtime
from typing import IO, Final, cast
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from catdog.datasets.picture_files import Picture
from catdog.datasets.picture_place import Stored

PIECE_BYTES: Final = 256 * 1024
SHOWN_DIGITS: Final = 8  # of the sha256 in a file's name, if another file of the class has the same name
LIMIT_CHARACTERS: Final = 100  # of a file's name, from its end
FILE_MODE: Final = 0o100644
FIRST_YEAR: Final = 1980  # a ZIP has no earlier time

_UNSAFE: Final = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))  # in file names of some system


class _Pieces:
    """A write-only file without a position; what was written is fetched in pieces."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, content: bytes) -> int:
        self._written.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """For `ZipFile`: there is nothing to flush."""

    def fetched(self) -> bytes:
        content = b"".join(self._written)
        self._written.clear()
        return content


def zipped(found: Iterable[Picture], file: Callable[[str], Stored], splits: bool = False) -> Iterator[bytes]:
    """The pieces of a ZIP of `class/file`, or of `split/class/file`; pictures that are removed during it are left out.

    Pictures are stored without compression, because their formats compress already.
    """
    pieces = _Pieces()
    used: set[str] = set()
    with ZipFile(cast(IO[bytes], pieces), "w", ZIP_STORED) as archive:  # it needs no more than these methods
        for picture in found:
            folder = f"{picture.split}/{picture.label}" if splits else picture.label
            name = _free(folder, picture, used)
            try:
                content = memoryview(file(picture.sha256).read_bytes())
            except FileNotFoundError:
                continue
            with archive.open(_info(name, picture), "w") as member:
                for start in range(0, len(content), PIECE_BYTES):
                    member.write(content[start : start + PIECE_BYTES])
                    yield pieces.fetched()
    yield pieces.fetched()


def _free(folder: str, picture: Picture, used: set[str]) -> str:
    """A name for the picture in this folder that no other has, also where case is ignored."""
    plain = picture.name.translate(_UNSAFE).strip(" .")[-LIMIT_CHARACTERS:] or picture.sha256
    name = f"{folder}/{plain}"
    if name.casefold() in used:
        stem, dot, suffix = plain.rpartition(".")
        name = f"{folder}/{stem or plain}-{picture.sha256[:SHOWN_DIGITS]}{dot}{suffix if stem else ''}"
    number = 1
    while name.casefold() in used:  # the same content twice in one class
        number += 1
        name = f"{folder}/{number}-{picture.sha256}"
    used.add(name.casefold())
    return name


def _info(name: str, picture: Picture) -> ZipInfo:
    moment = gmtime(picture.added_at)
    info = ZipInfo(name, (max(FIRST_YEAR, moment.tm_year), *moment[1:6]))
    info.external_attr = FILE_MODE << 16
    return info
