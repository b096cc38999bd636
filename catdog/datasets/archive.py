"""Packs a folder of labelled pictures into a ZIP to upload, and unpacks an uploaded one.

The folders in a ZIP are interpreted by the rules of `catdog.datasets.layout`, like folders on disk.
"""

import re
from collections import deque
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import IO, Final, NamedTuple
from zipfile import ZIP_STORED, ZipFile

from catdog.datasets.folders import HEAD_BYTES, fault_of, is_leftover, listed
from catdog.datasets.layout import Layout, arrange, first_left_out, printable
from catdog.datasets.safe_zip import Zipped, opened
from catdog.errors import ArchiveError, UnclearFolders

CHUNK_BYTES: Final = 2**20
_ARCHIVE_NAME: Final = re.compile(r".*\.(?:zip|tar|t?gz|t?bz2?|t?xz|7z|rar|t?zst)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Member:
    """A picture in an archive; `name` is only for display, `split` is None if the folders don't set it."""

    name: str
    label: str
    split: str | None


@dataclass(frozen=True)
class Unpacked:
    """The pictures, with the paths of the unpacked files.

    `skipped` are the files left out, as (name in the archive, reason), `empty` the class folders without a picture.
    """

    pictures: list[tuple[Member, Path]]
    skipped: list[tuple[str, str]]
    empty: list[str]


class Packed(NamedTuple):
    """A ZIP in an open file."""

    file: IO[bytes]
    size_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """The content from the beginning."""
        self.file.seek(0)
        while chunk := self.file.read(CHUNK_BYTES):
            yield chunk


@contextmanager
def packed(folder: Path) -> Iterator[Packed]:
    """An uncompressed ZIP of the pictures below a folder, or this ZIP itself; DatasetError if it is neither."""
    if folder.is_file():
        with folder.open("rb") as file:
            yield Packed(file, folder.stat().st_size)
        return
    found = listed(folder)
    with TemporaryFile() as file:
        with ZipFile(file, "w", ZIP_STORED) as archive:
            for place in sorted(found.pictures):
                archive.write(folder / place, str(place))
        yield Packed(file, file.tell())


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Write every picture into the existing `folder`, as files called 0, 1, 2 and so on.

    ArchiveError if the archive is hostile, damaged, ambiguous or without a picture; `folder` is then unchanged.
    """
    with opened(archive) as zipped:
        skipped = {place: reason for place in zipped.members if (reason := _unfit(zipped, place))}
        layout = _arranged(zipped, skipped)
        files = _write(zipped, layout.pictures, folder)
    return Unpacked(
        [(Member(printable(place.name), *_said(layout, place)), file) for place, file in files.items()],
        [(printable(str(place)), reason) for place, reason in (skipped | dict(layout.skipped)).items()],
        [printable(str(place)) for place in layout.empty],
    )


def _unfit(zipped: Zipped, place: PurePosixPath) -> str | None:
    """Why a member is left out, None if it is a picture."""
    head = next(zipped.read(place, HEAD_BYTES), b"")
    if any(map(is_leftover, place.parts)):
        return "it is hidden, or made by the system"
    fault = fault_of(head)
    if fault and _ARCHIVE_NAME.fullmatch(place.name):
        return f"it is a nested archive, which isn't opened; if it has pictures, pack these themselves ({fault})"
    return fault


def _arranged(zipped: Zipped, skipped: Mapping[PurePosixPath, str]) -> Layout:
    """The class and split of each picture, by its folders; ArchiveError if they are unclear."""
    folders = {place for place in zipped.folders if not any(map(is_leftover, place.parts))}
    folders |= {place.parent for place in zipped.members if not any(map(is_leftover, place.parts))}
    pictures = [place for place in zipped.members if place not in skipped]
    try:
        return arrange(pictures, sorted(folders))
    except UnclearFolders as error:
        why = "" if pictures else first_left_out(skipped)
        raise ArchiveError(error.problem, error.place, error.hint + why) from error


def _said(layout: Layout, place: PurePosixPath) -> tuple[str, str | None]:
    return layout.pictures[place].label, layout.pictures[place].split


def _write(zipped: Zipped, pictures: Container[PurePosixPath], folder: Path) -> dict[PurePosixPath, Path]:
    """Unpack everything, to detect any damage, but write only the pictures; a failure leaves no file behind."""
    files: dict[PurePosixPath, Path] = {}
    try:
        for place in zipped.members:
            content = zipped.read(place)
            if place in pictures:
                path = folder / str(len(files))
                with path.open("xb") as file:
                    files[place] = path
                    file.writelines(content)
            else:
                deque(content, maxlen=0)
    except BaseException:
        for path in files.values():
            path.unlink(missing_ok=True)
        raise
    return files
