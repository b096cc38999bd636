"""How much memory this process may use."""

import os
from collections.abc import Iterator
from contextlib import suppress

from catdog.system.cpu import cgroups

FILES = ("memory.max", "memory.limit_in_bytes")  # of version 2 and 1; without a limit the first says "max"


def usable_bytes() -> int:
    """By the machine's memory and by the limit of every cgroup that this process is in."""
    return min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_limits()])


def _limits() -> Iterator[int]:
    for folder in cgroups("memory"):
        for name in FILES:
            with suppress(OSError, ValueError):
                yield int((folder / name).read_text())
