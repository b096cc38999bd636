"""Hard-links files that several versions have in common.

What a version has stays its own: it is there until the last version that has it is deleted, whichever that is, and a
copy of a version's folder is whole. The file system counts the links, so nothing else has to.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

BLOCK_BYTES = 2**20  # compared at a time


def put(path: Path, content: memoryview, others: Iterable[Path]) -> None:
    """Make a new file with this content: a link to one of the `others` that has it, else a file of its own.

    It is on the disk then. Others may be missing, and may be on a file system that has no links. OSError where there is
    no room.
    """
    different: set[tuple[int, int]] = set()  # by device and inode: of many links one is read
    for other in others:
        with suppress(OSError):
            if _has(other, content, different):
                os.link(other, path, follow_symlinks=False)
                return
    with path.open("xb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())


def _has(path: Path, content: memoryview, different: set[tuple[int, int]]) -> bool:
    """Whether a plain file has this content; remembers in `different` which one has not."""
    found = path.lstat()
    inode = found.st_dev, found.st_ino
    if not stat.S_ISREG(found.st_mode) or found.st_size != len(content) or inode in different:
        return False
    with path.open("rb", buffering=0) as file:
        starts = [*range(0, len(content), BLOCK_BYTES), len(content)]
        is_same = all(file.read(end - start) == content[start:end] for start, end in pairwise(starts))
    if not is_same:
        different.add(inode)
    return is_same
