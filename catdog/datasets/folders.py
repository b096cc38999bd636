"""Reads folders of pictures from disk; skips files created by operating systems."""

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from catdog import images
from catdog.datasets.layout import Layout, arrange, first_left_out, is_unicode
from catdog.errors import DatasetError, UnclearFolders, UnsupportedImage

HEAD_BYTES: Final = 512  # enough for every signature in catdog.images
NOT_UTF_8: Final = "its name isn't UTF-8; rename it, for instance with `convmv -r --notest -f cp1252 -t utf8 FOLDER`"

# Names in lower case. Names that begin with a dot (.DS_Store, ._1.jpg, .git, .ipynb_checkpoints) are skipped too.
LEFT_BY_SYSTEMS: Final = frozenset(
    {
        "__macosx",  # macOS, in ZIPs
        "icon\r",
        "network trash folder",
        "temporary items",
        "thumbs.db",  # Windows
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "found.000",
        "lost+found",  # Linux
        "__pycache__",
        "@eadir",  # Synology
        "@tmp",
        "#recycle",
        "#snapshot",
        "@recycle",  # QNAP
        "@recently-snapshot",
    }
)
# A file with such an extension is meant to be a picture, even if its bytes aren't one.
PICTURE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".avif", ".heic", ".heif", ".tif", ".tiff")
)


@dataclass
class Listing:
    """The contents of a folder by relative path: pictures, files left out with reasons, and all folders."""

    pictures: list[PurePosixPath] = field(default_factory=list)
    folders: list[PurePosixPath] = field(default_factory=list)
    skipped: dict[PurePosixPath, str] = field(default_factory=dict)


def is_leftover(name: str) -> bool:
    """Whether a file or folder with this name is hidden, or was created by an operating system."""
    return name.startswith(".") or name.casefold() in LEFT_BY_SYSTEMS


def read(root: Path) -> Layout:
    """The pictures below a folder by class; DatasetError if the classes are unclear."""
    found = listed(root)
    try:
        layout = arrange(found.pictures, found.folders)
    except UnclearFolders as error:
        why = "" if found.pictures else first_left_out(found.skipped)
        raise DatasetError(f"{root} can't be read as class folders: {error}{why}") from error
    return Layout(layout.pictures, found.skipped | dict(layout.skipped), layout.empty)


def listed(root: Path) -> Listing:
    """Everything below a folder except system files; DatasetError if it isn't a folder.

    A picture is recognised by its first bytes or by its extension; in the latter case it may be broken. Links are
    followed.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; pass one with <class>/photo.jpg for at least two classes")
    found = Listing()
    waiting = [(PurePosixPath(), frozenset[tuple[int, int]]())]
    while waiting:
        inside, above = waiting.pop()
        folder = root / inside
        try:
            names = sorted(path.name for path in folder.iterdir())
            status = folder.stat()
        except OSError as error:
            found.skipped[inside] = f"it can't be read ({error.strerror})"
            continue
        here = above | {(status.st_dev, status.st_ino)}
        inner = [inside / name for name in names if not is_leftover(name)]
        subfolders = [place for place in inner if _is_folder(root, place, here, found)]
        found.folders += subfolders
        waiting += [(place, here) for place in reversed(subfolders)]
    return found


def _is_folder(root: Path, place: PurePosixPath, above: Collection[tuple[int, int]], found: Listing) -> bool:
    """Whether it is a folder to descend into; anything else is added to `found`."""
    path = root / place
    try:
        status = path.stat()
        is_folder = stat.S_ISDIR(status.st_mode)
        fault = _fault(path, status, above)
    except FileNotFoundError:
        fault, is_folder = "it is a link that leads nowhere", False
    except OSError as error:
        fault, is_folder = f"it can't be read ({error.strerror})", False
    if fault:
        found.skipped[place] = fault
    elif not is_folder:
        found.pictures.append(place)
    return is_folder and not fault


def _fault(path: Path, status: os.stat_result, above: Collection[tuple[int, int]]) -> str | None:
    """Why it is left out, None if it isn't; OSError if it can't be read."""
    if not is_unicode(path.name):
        return NOT_UTF_8
    if stat.S_ISDIR(status.st_mode):
        is_loop = (status.st_dev, status.st_ino) in above
        return "it is a link back to a folder that it is in" if is_loop else None
    if not stat.S_ISREG(status.st_mode):
        return "it is a pipe, socket or device"
    if not status.st_size:
        return "it is empty"
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return None if path.suffix.lower() in PICTURE_SUFFIXES else fault_of(head)


def fault_of(head: bytes) -> str | None:
    """Why a file with these first bytes is not a supported picture; None if it is one."""
    if not head:
        return "it is empty"
    try:
        images.identify(head)
    except UnsupportedImage as error:
        return str(error)
    return None
