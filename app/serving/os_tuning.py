"""Makes the C library and the kernel keep less memory for this process.

This works on Linux with glibc; elsewhere the functions do nothing.
"""

import ctypes
import os
import re
import sys
import threading
import weakref
from pathlib import Path

MAPS = Path("/proc/self/maps")
# Start and end of a read-only mapping, and the mapped file.
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r--[ps] \S+ \S+ \d+ +(/.+)")

ARENAS = 2
M_ARENA_MAX = -8  # from malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 32 * 2**20  # more than most decoded photos have; glibc accepts no larger threshold for mappings
MADV_DONTNEED = 4  # from sys/mman.h

_libc = ctypes.CDLL(None)


def limit_arenas() -> None:
    """Limit glibc to ARENAS heaps for all threads that are started later.

    By default each thread has its own, which keeps unused memory: 25 MB at full width.
    """
    if mallopt := getattr(_libc, "mallopt", None):
        mallopt(M_ARENA_MAX, ARENAS)


def keep_memory() -> None:
    """Let glibc keep KEPT_BYTES of freed memory in each heap: for processes that decode one photo after the other.

    By default it returns the memory of each photo to the kernel, which clears every page again for the next one.
    """
    if mallopt := getattr(_libc, "mallopt", None):
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)


def return_memory(read_once: Path) -> None:
    """Return the C library's unused memory to the system, and drop mapped pages of files below `read_once`.

    glibc kept 59 MB after loading the full width. OpenVINO copies the weights that it maps when it compiles, 14 MB in
    int8; if the pages are read again, they come from the disk.
    """
    if trim := getattr(_libc, "malloc_trim", None):
        trim(0)
    madvise = getattr(_libc, "madvise", None)
    if madvise is None or not MAPS.exists():
        return
    for line in os.fsdecode(MAPS.read_bytes()).splitlines():
        if (found := MAPPING.fullmatch(line)) and Path(found[3]).is_relative_to(read_once):
            begin, end = int(found[1], 16), int(found[2], 16)
            madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), MADV_DONTNEED)


def lower_priority(nice: int) -> None:
    """Lower this thread's priority to the Unix nice value, unless it is lower; threads that it starts inherit it."""
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        thread = threading.get_native_id()
        # `max`, because the service may have a lower priority already, and raising it requires root.
        os.setpriority(os.PRIO_PROCESS, thread, max(nice, os.getpriority(os.PRIO_PROCESS, thread)))


class UnusedMemory:
    """Returns the memory of loading a model to the system, once the replaced model is no longer in use."""

    def __init__(self, models_dir: Path) -> None:
        self._models_dir = models_dir
        self._replaced: weakref.ref[object] | None = None
        self.is_given_back = True

    def loaded(self) -> None:
        """Record that a model was loaded, which needs more memory than running it."""
        self.is_given_back = False

    def replaced(self, model: object | None) -> None:
        """Record that only running requests may still use this model; memory is returned after the last of them."""
        self._replaced, self.is_given_back = weakref.ref(model) if model else None, False

    def return_memory(self) -> None:
        """Return the memory, unless that was done already or the replaced model is still in use."""
        if self.is_given_back or (self._replaced is not None and self._replaced() is not None):
            return
        self.is_given_back = True
        return_memory(self._models_dir)
