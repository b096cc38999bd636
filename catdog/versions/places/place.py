"""What a store needs of the place that keeps its versions, a folder or a bucket."""

from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Protocol

from catdog.system.location import Remote
from catdog.versions.version import Version


class Place(Protocol):
    """Keeps the versions, and the few files beside them, such as `champion`.

    Changes are made inside `changing`, except `prepare`. In a bucket everything but `read`, `versions` and versions
    that were used before may raise StoreUnavailable, and changes may raise Conflict: see `catdog.system.repeating`.
    """

    root: Path
    is_remote: bool

    def read(self, name: str) -> bytes | None:
        """The content of a file, None if there is none; OSError."""

    def replace(self, name: str, text: str) -> None:
        """Replace the content of a file as a whole."""

    def versions(self) -> tuple[int, ...]:
        """The numbers of all versions, oldest first."""

    def open(self, version: int) -> Version:
        """An existing version."""

    def changing(self) -> AbstractContextManager[None]:
        """Let no other process or thread change anything; where that is impossible, `replace` and others refuse."""

    def prepare(self, draft: Path) -> int | None:
        """Make a draft durable, all but its manifest: the slow part. Returns its number; None: the caller's choice."""

    def add(self, draft: Path, number: int) -> None:
        """Make a complete draft a version."""

    def remove(self, version: int) -> None:
        """Remove a version."""

    def sweep(self) -> None:
        """Remove what interrupted steps left behind, outside of `changing`."""


def place(root: Path | Remote) -> Place:
    """The place of a store."""
    if isinstance(root, Path):
        from catdog.versions.places.folder import Folder

        return Folder(root)
    return _bucket(root)


@cache
def _bucket(remote: Remote) -> Place:
    """One for each process, so that it asks the bucket once for all of its stores."""
    from catdog.versions.places.bucket import Bucket

    return Bucket(remote)
