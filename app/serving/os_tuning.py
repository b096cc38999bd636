"""Asks the C library and the kernel to keep less memory for this process.

Elsewhere than on Linux with glibc nothing happens, and nothing is missing.
"""

import ctypes
import os
import re
import sys
import threading
import weakref
from pathlib import Path

MAPS = Path("/proc/self/maps")
# Begin and end of a mapping that can only be read, and the file that is mapped there.
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r--[ps] \S+ \S+ \d+ +(/.+)")

ARENAS = 2
M_ARENA_MAX = -8  # of malloc.h
MADV_DONTNEED = 4  # of sys/mman.h

_libc = ctypes.CDLL(None)


def limit_arenas() -> None:
    """Have threads, which aren't there yet, allocate from ARENAS heaps.

    By default each has its own, which keeps what isn't in use: 25 MB at full width.
    """
    if mallopt := getattr(_libc, "mallopt", None):
        mallopt(M_ARENA_MAX, ARENAS)


def return_memory(read_once: Path) -> None:
    """Have the C library return what it only keeps, and the kernel what of files below `read_once` is mapped.

    glibc kept 59 MB after loading the full width. Weights that OpenVINO maps are copied when it compiles, 14 MB in
    int8; whoever reads them again gets them from the disk.
    """
    if trim := getattr(_libc, "malloc_trim", None):
        trim(0)
    madvise = getattr(_libc, "madvise", None)
    if madvise is None or not MAPS.exists():
        return
    for line in MAPS.read_text().splitlines():
        if (found := MAPPING.fullmatch(line)) and Path(found[3]).is_relative_to(read_once):
            begin, end = int(found[1], 16), int(found[2], 16)
            madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), MADV_DONTNEED)


def lower_priority(nice: int) -> None:
    """Lower this thread's priority to the Unix nice value, unless it is lower; those that it starts inherit that."""
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        thread = threading.get_native_id()
        # To raise it takes root: the whole service may have been started with a lower one.
        os.setpriority(os.PRIO_PROCESS, thread, max(nice, os.getpriority(os.PRIO_PROCESS, thread)))


class UnusedMemory:
    """Returns the memory that loading took to the system, once a replaced model is no longer in use."""

    def __init__(self, models_dir: Path) -> None:
        self._models_dir = models_dir
        self._replaced: weakref.ref[object] | None = None
        self.is_given_back = True

    def loaded(self) -> None:
        """A model was loaded, which takes more memory than it needs afterwards."""
        self.is_given_back = False

    def replaced(self, model: object | None) -> None:
        """This model is used by running requests alone, if by any; nothing is given back before the last one ends."""
        self._replaced, self.is_given_back = weakref.ref(model) if model else None, False

    def return_memory(self) -> None:
        """Give back what can be, unless that has been done, or can't be done yet."""
        if self.is_given_back or (self._replaced is not None and self._replaced() is not None):
            return
        self.is_given_back = True
        return_memory(self._models_dir)
