"""Empties files instead of deleting them, and uses them for new ones, which costs less.

To create a file, ext4 looks at every inode that was deleted in the last minutes, because it doesn't use those again so
soon: docs/decisions/serving/0025-what-a-request-costs.md
"""

import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".free"
# Bytes that are left of an emptied file. At 0, ext4 would write the next content to the disk when it is closed.
EMPTIED_BYTES = 1


class SpareFiles:
    """At most `limit` emptied files of this process, beside those that they were. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._files: deque[Path] = deque()

    def discard(self, path: Path) -> None:
        """Empty a file, or delete it if there are enough; FileNotFoundError if another process did."""
        if len(self._files) >= self._limit:
            path.unlink()
            return
        spare = path.rename(f"{path}{SUFFIX}")  # first: only one process succeeds, and none writes to it any more
        os.truncate(spare, EMPTIED_BYTES)
        self._files.append(spare)

    def create(self, path: Path) -> BinaryIO:
        """Open a new file for more than EMPTIED_BYTES; FileNotFoundError without its folder."""
        with suppress(IndexError, FileNotFoundError):  # none is left, or another process deleted it when it started
            return self._files.pop().rename(path).open("r+b")
        return path.open("xb")

    def clear(self) -> None:
        """Delete all of them."""
        with suppress(IndexError):
            while True:
                self._files.pop().unlink(missing_ok=True)
