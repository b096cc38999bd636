"""Stores picture files, one per content, named by their sha256.

A file is placed before its row is written, and may be removed in between, because no row refers to it yet. So the code
that adds it keeps a second link to the file, in the upload folder, until the row is written.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from catdog.system import durable

FOLDER: Final = "pictures"  # in the data folder
Source = Literal["upload", "archive", "import", "feedback"]
Kind = Literal["label", "split", "dataset", "delete"]  # of a change


@dataclass(frozen=True)
class New:
    """A picture to be added: its file, its name, its class, and its split if a person chose one."""

    file: Path
    name: str
    label: str
    split: str | None = None


@dataclass(frozen=True)
class Picture:
    """A picture with a label in a data set."""

    sha256: str
    name: str
    label: str
    split: str
    source: Source
    added_at: float


@dataclass(frozen=True)
class Listed(Picture):
    """A picture with its number, which stays the same when it is relabelled or moved."""

    id: int


@dataclass(frozen=True)
class Filter:
    """Which pictures are listed: of one class, of one split, of these contents, in the order of these contents."""

    label: str | None = None
    split: str | None = None
    contents: Sequence[str] | None = None


class Added(NamedTuple):
    """An added picture, and whether it is new in the data set."""

    picture: Picture
    is_new: bool


NO_LINKS: Final = {
    errno.EPERM,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
}  # raised by file systems without hard links


@dataclass(frozen=True)
class Change:
    """What was done to `pictures` pictures of a data set; `target` is the new class, split or data set."""

    id: int
    dataset: str
    kind: Kind
    target: str
    pictures: int
    made_at: float  # seconds since 1970
    undone_at: float | None


class PictureFiles:
    """The files below one folder. Any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """The path of the picture with this content."""
        return self._root / sha256[:2] / sha256

    def place(self, files: Mapping[str, Path]) -> None:
        """Link files, given by the sha256 of their content, to their final places and sync them; old names remain.

        Needs an fsync for each file: too slow for a transaction.
        """
        for sha256, file in files.items():
            self._place(sha256, file)
        for folder in {
            self.path(sha256).parent for sha256 in files
        }:  # existing files too: the other process may not have synced them yet
            durable.sync(folder)
        durable.sync(self._root)

    def replace_removed(self, files: Mapping[str, Path]) -> None:
        """Place files again that were removed since, because no row referred to them; within the row's transaction."""
        if removed := {sha256: file for sha256, file in files.items() if not self.path(sha256).exists()}:
            self.place(removed)

    def remove(self, sha256: str) -> None:
        self.path(sha256).unlink(missing_ok=True)

    def by_folder(self) -> Iterator[set[str]]:
        """The sha256 of every file, one folder at a time."""
        for folder in sorted(self._root.glob("[0-9a-f][0-9a-f]")):
            if names := {path.name for path in folder.iterdir()}:
                yield names

    def _place(self, sha256: str, file: Path) -> None:
        path = self.path(sha256)
        if path.exists():
            return
        durable.sync(file)
        path.parent.mkdir(exist_ok=True)
        try:
            os.link(file, path)
        except FileExistsError:  # another request just added the same content
            pass
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            copy = Path(shutil.copyfile(file, file.with_name(f"{file.name}.copy")))
            durable.sync(copy)
            copy.rename(path)
