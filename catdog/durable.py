"""Files that outlive a crash: after kill -9 or a power cut there is the old content or the new, never a half.

Pillai et al., "All File Systems Are Not Created Equal" (2014), says why each fsync here is needed.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock file at `path`, which is made where missing, alone among all processes and threads.

    The lock ends with its holder, however that ends. Without `wait`, BlockingIOError where it is held.
    """
    with path.open("ab") as file:  # writable, because network file systems lock no other files exclusively
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def sync(path: Path) -> None:
    """Bring a file's content, or a directory's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Bring a directory and everything below it to the disk."""
    for inside in path.rglob("*"):
        sync(inside)
    sync(path)


def replace_text(path: Path, text: str) -> None:
    """Make `text` the content of the file in one step. Only one writer at a time."""
    aside = path.with_name(f".{path.name}.new")
    try:
        aside.write_text(text, "utf-8")
        sync(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync(path.parent)
