"""What a store needs of the place that keeps its versions, a folder or a bucket."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, wraps
from pathlib import Path
from time import monotonic, sleep
from typing import Final, ParamSpec, Protocol, TypeVar

from catdog.errors import StoreUnavailable
from catdog.system.object_store import Conflict
from catdog.versions.places.location import Remote
from catdog.versions.version import Version

CONTENDED_SECONDS: Final = 120.0  # for which a step is repeated while other machines are faster
PAUSES: Final = 0.02, 4.0  # seconds before a repetition: up to the first, doubled each time up to the second

P = ParamSpec("P")
Result = TypeVar("Result")


class Place(Protocol):
    """Keeps the versions, and the few files beside them, such as `champion`.

    Changes are made inside `changing`, except `prepare`. In a bucket everything but `read`, `versions` and versions
    that were used before may raise StoreUnavailable, and changes may raise Conflict: see `repeated`.
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


def repeated(step: Callable[P, Result]) -> Callable[P, Result]:
    """Let a step repeat itself if another machine changes the versions in the meantime; StoreUnavailable."""

    @wraps(step)
    def run(*args: P.args, **kwargs: P.kwargs) -> Result:
        until, (pause, longest) = monotonic() + CONTENDED_SECONDS, PAUSES
        while True:
            try:
                return step(*args, **kwargs)
            except Conflict as error:
                if monotonic() > until:
                    raise StoreUnavailable("other machines change its state all the time") from error
            sleep(random.uniform(0, pause))  # noqa: S311, no secret
            pause = min(2 * pause, longest)

    return run


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
