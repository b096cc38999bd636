"""Stores picture files, one per content, named by their sha256.

A file that is placed before its row is written may be removed meanwhile, because no row names it yet. So whoever adds
keeps a second name of the file, in the folder that it came in, until the row is there.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from catdog.system import durable

Source = Literal["upload", "archive", "import", "feedback"]


@dataclass(frozen=True)
class New:
    """A picture to be added: a file, what people call it, its class, and its split where somebody chose it."""

    file: Path
    name: str
    label: str
    split: str | None = None


@dataclass(frozen=True)
class Picture:
    """A picture under a label in a data set."""

    sha256: str
    name: str
    label: str
    split: str
    source: Source
    added_at: float


class Added(NamedTuple):
    """A picture that was to be added, and whether it is new there."""

    picture: Picture
    is_new: bool


NO_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}  # of file systems without hard links


class PictureFiles:
    """The files below one folder. Any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """Where the picture of this content is."""
        return self._root / sha256[:2] / sha256

    def place(self, files: Mapping[str, Path]) -> None:
        """Bring files, by the sha256 of their content, to where they stay and to the disk; they keep their old names.

        Takes an fsync for each file: too long for a transaction.
        """
        for sha256, file in files.items():
            self._place(sha256, file)
        for folder in {self.path(sha256).parent for sha256 in files}:  # of others' files, too: theirs may come later
            durable.sync(folder)
        durable.sync(self._root)

    def replace_removed(self, files: Mapping[str, Path]) -> None:
        """Place those again that were removed since, because no row named them: within the row's transaction."""
        if removed := {sha256: file for sha256, file in files.items() if not self.path(sha256).exists()}:
            self.place(removed)

    def remove(self, sha256: str) -> None:
        self.path(sha256).unlink(missing_ok=True)

    def by_folder(self) -> Iterator[set[str]]:
        """The sha256 of every file, those of one folder at a time."""
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
        except FileExistsError:  # another request brought the same content just now
            pass
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            copy = Path(shutil.copyfile(file, file.with_name(f"{file.name}.copy")))
            durable.sync(copy)
            copy.rename(path)
