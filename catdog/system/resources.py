"""Determines how many cores and how much memory this process may use.

On a shared machine or in a container this is less than the machine has.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path

NICE = 19  # lowest priority: the trainer uses idle processor time

PROC = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")

# "number:controllers:/path" on each line; version 2 has one line without controllers.
GROUP = re.compile(r"^\d+:([^:\n]*):/(.*)$", re.MULTILINE)

# Microseconds of processor time, per period of microseconds; without a limit version 2 has "max" and version 1 "-1".
QUOTA = re.compile(rb"(\d+)\s+([1-9]\d*)\s*")
MEMORY_FILES = ("memory.max", "memory.limit_in_bytes")  # of version 2 and 1; without a limit the first has "max"
LARGE = 2e8  # multiplications from which several cores are faster than one


def usable_cores() -> int:
    """The cores by affinity and by the quotas of the process's cgroups, rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *map(ceil, _quotas())]))


def threads_for(multiplications: int) -> int:
    """The number of threads for a regression: on two threads small products took ten times as long."""
    return usable_cores() if multiplications >= LARGE else 1


def _quotas() -> Iterator[float]:
    """The processor quotas in cores (seconds per second); other contents of the files are ignored."""
    for folder in cgroups("cpu"):
        found = QUOTA.fullmatch(_read(folder))
        if found:
            yield int(found[1]) / int(found[2])


def _read(folder: Path) -> bytes:
    """Quota and period, from one file in version 2 or two files in version 1; empty if neither exists.

    The root has none, and a container may not see the folders above its own.
    """
    try:
        file = folder / "cpu.max"
        if file.exists():
            return file.read_bytes()
        return (folder / "cpu.cfs_quota_us").read_bytes() + (folder / "cpu.cfs_period_us").read_bytes()
    except OSError:
        return b""


def cgroups(controller: str) -> Iterator[Path]:
    """The cgroups of this controller that may limit this process, its own first; empty except on Linux.

    If several controllers of version 1 share a folder, each of them has a link to it.
    """
    try:
        text = os.fsdecode(PROC.read_bytes())
    except OSError:
        return
    for controllers, path in GROUP.findall(text):
        if controllers and controller not in controllers.split(","):
            continue
        mount = MOUNT / controller if controllers else MOUNT
        own = mount / path
        yield from (own, *(parent for parent in own.parents if parent.is_relative_to(mount)))


def usable_bytes() -> int:
    """The memory by the machine's size and the limits of the process's cgroups."""
    return min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_memory_limits()])


def _memory_limits() -> Iterator[int]:
    for folder in cgroups("memory"):
        for name in MEMORY_FILES:
            with suppress(OSError, ValueError):
                yield int((folder / name).read_text())


_unconfined: frozenset[int] | None = None  # the cores before `confine`


def confine(cores: frozenset[int]) -> None:
    """Limit this process to these cores. Call it before other threads are started: a thread inherits its creator's."""
    global _unconfined
    _unconfined = frozenset(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores)


@contextmanager
def unconfined() -> Iterator[None]:
    """Lift `confine` for processes that this thread starts inside the block."""
    if _unconfined is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _unconfined)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def default_threads() -> int:
    """Half the cores that this process may use, at least one."""
    return max(1, usable_cores() // 2)


def yield_to_others(threads: int) -> None:
    """Limit this thread, and the ones that it starts later, to `threads` cores at the lowest priority."""
    os.nice(NICE)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def run_when_idle() -> None:
    """Let this thread, and the ones that it starts later, run only where nothing else wants to; call it early.

    On Linux a nice value alone leaves others waiting, SCHED_IDLE doesn't. It takes all cores: with such work on some of
    them alone, predictions took longer. Of a quota, which it uses up like any other work, and on other systems it takes
    half of the cores.
    """
    if sys.platform != "linux":
        yield_to_others(default_threads())
        return
    cores = len(os.sched_getaffinity(0))
    yield_to_others(cores if min(_quotas(), default=cores) >= cores else default_threads())
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def limit_process(threads: int) -> None:
    """Limit this process to `threads` cores, at the lowest priority.

    Call it in the main thread before other threads are started: on Linux a thread inherits both from its creator.
    """
    from threadpoolctl import threadpool_limits  # part of the trainer alone

    yield_to_others(threads)
    threadpool_limits(threads)  # for libraries that have already counted the cores
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[variable] = str(threads)
