"""What data sets need of the place that keeps their pictures, a folder or a bucket."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # imports slowly
    from sqlalchemy import Connection

    from catdog.database import Database


class Stored(Protocol):
    """A picture where it is kept, such as a `Path`; as a string its path or URL."""

    def read_bytes(self) -> bytes:
        """Its content; FileNotFoundError if it was removed, StoreUnavailable."""


class PicturePlace(Protocol):
    """Keeps pictures by the sha256 of their content. Any number of threads, processes and machines may use it at once.

    In a bucket everything but `file` may raise StoreUnavailable.
    """

    is_remote: bool

    def file(self, sha256: str) -> Stored:
        """The picture with this content."""

    def check(self) -> None:
        """StoreUnavailable if the place can't be reached, before a step that would be left half done."""

    def place(self, files: Mapping[str, Path], database: "Database") -> int:
        """Store files, by the sha256 of their content, for good; the slow part, before the transaction of their rows.

        Returns what `confirm` needs.
        """

    def confirm(self, connection: "Connection", files: Mapping[str, Path], placed: int) -> None:
        """Make sure, in the transaction of their rows, that files weren't removed since `place`; Conflict: do it again.

        They may have been, because no row referred to them yet.
        """

    def remove(self, digests: Collection[str], database: "Database") -> int:
        """Remove those of these pictures that no row refers to; returns their number."""

    def by_folder(self) -> Iterator[set[str]]:
        """The sha256 of every picture that a sweep may remove, in parts of a common beginning."""

    def owner(self) -> str | None:
        """The identity of the database that names the pictures, None if it isn't noted."""

    def own(self, identity: str) -> None:
        """Note that identity, instead of another one."""


def place(data_dir: Path, pictures: Path | str | None = None) -> PicturePlace:
    """The place at a path or URL, by default in the data folder."""
    if pictures is None or isinstance(pictures, Path):
        from catdog.datasets.picture_files import FOLDER, PictureFiles

        return PictureFiles(pictures or data_dir / FOLDER)
    from catdog.datasets.picture_bucket import bucket

    return bucket(pictures)
