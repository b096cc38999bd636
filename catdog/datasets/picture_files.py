"""Pictures in a folder, one file for each content, named by its sha256.

A file is placed before its row is written, and may be removed in between, because no row refers to it yet. So the code
that adds it keeps a second link to the file, in the upload folder, until the row is written.
"""

import errno
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from catdog.system import durable

if TYPE_CHECKING:  # imports slowly
    from sqlalchemy import Connection

    from catdog.database import Database

FOLDER: Final = "pictures"  # in the data folder
MARK: Final = ".database"  # the file with the identity of the pictures' database
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

    is_remote = False

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def file(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256

    def check(self) -> None:
        """Nothing to check: the folder is there."""

    def place(self, files: Mapping[str, Path], database: "Database | None" = None) -> int:
        """Link files to their final places and sync them; old names remain.

        Needs an fsync for each file: too slow for a transaction.
        """
        for sha256, file in files.items():
            self._place(sha256, file)
        for folder in {
            self.file(sha256).parent for sha256 in files
        }:  # existing files too: the other process may not have synced them yet
            durable.sync(folder)
        durable.sync(self._root)
        return 0

    def confirm(self, connection: "Connection", files: Mapping[str, Path], placed: int) -> None:
        if removed := {sha256: file for sha256, file in files.items() if not self.file(sha256).exists()}:
            self.place(removed)

    def remove(self, digests: Collection[str], database: "Database") -> int:
        """In a transaction, so that no row that refers to one of them can be written in the meantime."""
        from catdog.datasets.rows import unreferenced

        with database.writing() as connection:
            found = unreferenced(connection, digests)
            for sha256 in found:
                self.file(sha256).unlink(missing_ok=True)
        return len(found)

    def by_folder(self) -> Iterator[set[str]]:
        for folder in sorted(self._root.glob("[0-9a-f][0-9a-f]")):
            if names := {path.name for path in folder.iterdir()}:
                yield names

    def owner(self) -> str | None:
        mark = self._root / MARK
        return mark.read_text().strip() if mark.exists() else None

    def own(self, identity: str) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with durable.locked(self._root / durable.LOCK):
            durable.replace_text(self._root / MARK, f"{identity}\n")

    def _place(self, sha256: str, file: Path) -> None:
        path = self.file(sha256)
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
