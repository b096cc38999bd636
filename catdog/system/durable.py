"""Writes files so that a crash leaves either the old or the new content.

Pillai et al., "All File Systems Are Not Created Equal" (2014), says why each fsync here is needed.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import file_digest, sha256
from pathlib import Path

LOCK = ".lock"


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


@contextmanager
def scratch(root: Path, prefix: str) -> Iterator[Path]:
    """A new empty directory somewhere below `root`, removed at the end unless it was moved away.

    It lies in a hidden one that begins with `prefix`; those that killed processes left behind are removed first.
    """
    root.mkdir(parents=True, exist_ok=True)
    hidden = root / f"{prefix}{secrets.token_hex(8)}"
    with ExitStack() as stack:
        with locked(root / LOCK):  # so that nobody takes it for an abandoned one before it is locked
            _remove_abandoned(root, prefix)
            inside = hidden / "content"
            inside.mkdir(parents=True)
            stack.enter_context(locked(hidden / LOCK))
            stack.callback(shutil.rmtree, hidden, ignore_errors=True)
        yield inside


def sweep(root: Path, prefix: str) -> None:
    """Remove what killed processes left of `scratch`, where there is such a folder."""
    if root.is_dir():
        with locked(root / LOCK):
            _remove_abandoned(root, prefix)


def _remove_abandoned(root: Path, prefix: str) -> None:
    for abandoned in root.glob(f"{prefix}*"):
        with suppress(OSError), locked(abandoned / LOCK, wait=False):
            shutil.rmtree(abandoned, ignore_errors=True)


def sha256_of(*paths: Path) -> str:
    """The sha256 of the files' contents, one after the other, in hex; OSError if one can't be read."""
    digest = sha256()
    for path in paths:
        with path.open("rb", buffering=0) as file:
            file_digest(file, lambda: digest)
    return digest.hexdigest()
