"""Writes files so that a crash leaves either the old or the new content.

Pillai et al., "All File Systems Are Not Created Equal" (2014), says why each fsync here is needed.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

LOCK = ".lock"

# Read at a time for a checksum. `hashlib.file_digest` reads 256 KiB and waits for Python's lock after each, which at a
# start another thread holds while it imports modules: docs/decisions/serving/0010.
BLOCK_BYTES = 8 * 2**20


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock file at `path` exclusively among all processes and threads; it is created if missing.

    The operating system releases the lock if its holder dies. Without `wait`, BlockingIOError if it is held.
    """
    with path.open("ab") as file:  # writable, because network file systems lock no other files exclusively
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def sync(path: Path) -> None:
    """Write a file's content, or a directory's list of names, to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Write a directory and everything below it to the disk (fsync)."""
    for inside in path.rglob("*"):
        sync(inside)
    sync(path)


def replace_text(path: Path, text: str) -> None:
    """Replace the file's content by `text` atomically. Only one writer at a time."""
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
    """A new empty directory below `root`, removed at the end unless it was moved.

    It is in a hidden directory whose name begins with `prefix`; those left by killed processes are removed first.
    """
    root.mkdir(parents=True, exist_ok=True)
    hidden = root / f"{prefix}{secrets.token_hex(8)}"
    with ExitStack() as stack:
        with locked(root / LOCK):  # so that no other process removes it as abandoned before it is locked
            _remove_abandoned(root, prefix)
            inside = hidden / "content"
            inside.mkdir(parents=True)
            stack.enter_context(locked(hidden / LOCK))
            stack.callback(shutil.rmtree, hidden, ignore_errors=True)
        yield inside


def sweep(root: Path, prefix: str) -> None:
    """Remove the directories that killed processes left in `scratch`, if any."""
    if root.is_dir():
        with locked(root / LOCK):
            _remove_abandoned(root, prefix)


def _remove_abandoned(root: Path, prefix: str) -> None:
    for abandoned in root.glob(f"{prefix}*"):
        with suppress(OSError), locked(abandoned / LOCK, wait=False):
            shutil.rmtree(abandoned, ignore_errors=True)


def sha256_of(*paths: Path) -> str:
    """The sha256 of the files' contents, one after the other, in hex; OSError if one can't be read."""
    digest, block = sha256(), memoryview(bytearray(BLOCK_BYTES))
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while size := file.readinto(block):
                digest.update(block[:size])
    return digest.hexdigest()
