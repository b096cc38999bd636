"""Unpacks an uploaded ZIP of labelled pictures.

Its folders are read by the rules of `catdog.datasets.layout`, as those on a disk are.
"""

import re
from collections import deque
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from catdog.datasets.folders import HEAD_BYTES, fault_of, is_leftover
from catdog.datasets.layout import Layout, arrange, first_left_out, printable
from catdog.datasets.safe_zip import Zipped, opened
from catdog.errors import ArchiveError, UnclearFolders

_ARCHIVE_NAME: Final = re.compile(r".*\.(?:zip|tar|t?gz|t?bz2?|t?xz|7z|rar|t?zst)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Member:
    """What an archive says of a picture; `name` is only to be shown, `split` None where nobody chose it."""

    name: str
    label: str
    split: str | None


@dataclass(frozen=True)
class Unpacked:
    """The pictures with the files that they are in now.

    `skipped` is what was left out, as (name in the archive, reason), and `empty` are class folders without a picture.
    """

    pictures: list[tuple[Member, Path]]
    skipped: list[tuple[str, str]]
    empty: list[str]


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Write every picture into `folder`, which exists, as files called 0, 1, 2 and so on.

    ArchiveError where the archive is hostile, damaged, ambiguous or without a picture; `folder` is then as it was.
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
    """Why a member is left out, None where it is a picture."""
    head = next(zipped.read(place, HEAD_BYTES), b"")
    if any(map(is_leftover, place.parts)):
        return "it is hidden, or made by the system"
    fault = fault_of(head)
    if fault and _ARCHIVE_NAME.fullmatch(place.name):
        return f"it is another archive, which isn't opened; pack the pictures themselves if it holds any ({fault})"
    return fault


def _arranged(zipped: Zipped, skipped: Mapping[PurePosixPath, str]) -> Layout:
    """What each picture is, by the folders that it is in; ArchiveError where they don't say."""
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
    """Unpack everything, so that damage shows wherever it is, but write pictures alone; nothing stays of a failure."""
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
