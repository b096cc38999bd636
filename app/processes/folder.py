"""The folder that the processes of a service share: their sockets, locks and counts."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from time import time
from typing import Final

from catdog.system import durable

PREFIX: Final = "catdog-processes-"
HELD: Final = "held"  # a file that the supervisor locks
YOUNG_SECONDS: Final = 60.0  # it may not be locked yet


@contextmanager
def shared() -> Iterator[Path]:
    """A new folder of this user alone, removed at the end; those of killed services are removed first."""
    for left in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if (left / HELD).exists() and time() - left.stat().st_mtime > YOUNG_SECONDS:
                _remove_abandoned(left)
    with TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name, durable.locked(Path(name) / HELD):
        yield Path(name)


def remove(folder: Path) -> None:
    """Remove it for a supervisor that was killed."""
    shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    with durable.locked(folder / HELD, wait=False):
        remove(folder)
