"""A ZIP of labelled pictures that somebody uploaded: which picture is of which class, unpacked under names of our own.

<class>/...                          pictures of a class, in folders below it as well
{train,validation,test}/<class>/...  the same, where somebody chose the split
"""

from collections import deque
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from catdog import images
from catdog.errors import ArchiveError, DatasetError, UnsupportedImage
from catdog.labels import checked_label
from catdog.splits import SPLITS
from catdog.zipped import Zipped, opened

HEAD_BYTES = 512  # enough for every signature in catdog.images

_JUNK = {"__macosx", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Member:
    """What an archive says of a picture; `name` is only to be shown, `split` None where nobody chose it."""

    name: str
    label: str
    split: str | None


@dataclass(frozen=True)
class Unpacked:
    """The pictures with the files that they are in now, and (name in the archive, reason) of what was left out."""

    pictures: list[tuple[Member, Path]]
    skipped: list[tuple[str, str]]


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Write every picture into `folder`, which exists, as files called 0, 1, 2 and so on.

    ArchiveError where the archive is hostile, damaged, ambiguous or without a picture; `folder` is then as it was.
    """
    with opened(archive) as zipped:
        skipped = {place: reason for place in zipped.members if (reason := _unfit(zipped, place))}
        pictures = _arranged([place for place in zipped.members if place not in skipped])
        files = _write(zipped, pictures, folder)
    return Unpacked(
        [(pictures[place], file) for place, file in files.items()],
        [(str(place), reason) for place, reason in skipped.items()],
    )


def _unfit(zipped: Zipped, place: PurePosixPath) -> str | None:
    """Why a member is left out, None where it is a picture in a folder."""
    head = next(zipped.read(place, HEAD_BYTES), b"")
    if any(part.startswith(".") or part.casefold() in _JUNK for part in place.parts):
        return "it is hidden, or made by the system"
    if not head:
        return "it is empty"
    try:
        images.identify(head)
    except UnsupportedImage as error:
        return str(error)
    return None if len(place.parts) > 1 else "it is in no class folder"


def _arranged(places: Collection[PurePosixPath]) -> dict[PurePosixPath, Member]:
    """What each picture is, by the folders that it is in; ArchiveError where they don't say."""
    if not places:
        raise ArchiveError(
            "it holds no picture in a class folder; pack folders such as cat and dog with pictures in them"
        )
    splits = {place: split for place in places if (split := place.parts[0].casefold()) in SPLITS}
    if splits and len(splits) < len(places):
        stray = next(place for place in places if place not in splits)
        raise ArchiveError(f"where some pictures are in {', '.join(SPLITS)}, all must be", str(stray))
    inside = {place: place.parts[1:] if splits else place.parts for place in places}
    labels = _labels(inside)
    return {place: Member(place.name, labels[parts[0]], splits.get(place)) for place, parts in inside.items()}


def _labels(inside: Mapping[PurePosixPath, tuple[str, ...]]) -> dict[str, str]:
    """The label that each class folder stands for; `inside` are the parts of each picture's path from there on."""
    bare = [place for place, parts in inside.items() if len(parts) == 1]
    if bare:
        raise ArchiveError("it holds a picture in a split, but in no class folder there", str(bare[0]))
    folders = {parts[0] for parts in inside.values()}
    if len(folders) == 1 and all(len(parts) > 2 for parts in inside.values()):
        raise ArchiveError(
            "all pictures are deeper in one folder, which may be a class or hold the classes; pack the class folders"
            " themselves, with pictures right in them",
            *folders,
        )
    labels = {folder: _label(folder) for folder in folders}
    if len({label.casefold() for label in labels.values()}) < len(set(labels.values())):
        raise ArchiveError(f"two of its classes differ in upper and lower case alone: {', '.join(sorted(folders))}")
    return labels


def _label(folder: str) -> str:
    try:
        return checked_label(folder)
    except DatasetError as error:
        raise ArchiveError(str(error), folder) from error


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
