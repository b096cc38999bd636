"""How many processor cores and how much memory this process may use.

On a shared machine or in a container that is less than the machine has.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path

NICE = 19  # the processor is the trainer's where nobody else wants it

PROC = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")

# "number:controllers:/path" on each line; version 2 has one line, and no controllers there.
GROUP = re.compile(r"^\d+:([^:\n]*):/(.*)$", re.MULTILINE)

# Microseconds of processor time in every so many; without a limit version 2 says "max" and version 1 "-1".
QUOTA = re.compile(rb"(\d+)\s+([1-9]\d*)\s*")
MEMORY_FILES = ("memory.max", "memory.limit_in_bytes")  # of version 2 and 1; without a limit the first says "max"
LARGE = 2e8  # multiplications from which several cores are faster than one


def usable_cores() -> int:
    """By affinity and by the quota of every cgroup that this process is in; a part of a core counts as one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *map(ceil, _quotas())]))


def threads_for(multiplications: int) -> int:
    """How many threads to fit a regression on: shared by two, small products took ten times as long."""
    return usable_cores() if multiplications >= LARGE else 1


def _quotas() -> Iterator[float]:
    """Each in cores: seconds of processor time a second. Whatever else is found there limits nothing."""
    for folder in cgroups("cpu"):
        found = QUOTA.fullmatch(_read(folder))
        if found:
            yield int(found[1]) / int(found[2])


def _read(folder: Path) -> bytes:
    """Quota and period, as version 2 has them in one file and version 1 in two; nothing where there is neither.

    The root has none, and a container may not see the folders that lie above its own.
    """
    try:
        file = folder / "cpu.max"
        if file.exists():
            return file.read_bytes()
        return (folder / "cpu.cfs_quota_us").read_bytes() + (folder / "cpu.cfs_period_us").read_bytes()
    except OSError:
        return b""


def cgroups(controller: str) -> Iterator[Path]:
    """The cgroups that may limit this process in that, its own first; none elsewhere than on Linux.

    Where several controllers of version 1 share a folder, each of them has a link to it.
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
    """By the machine's memory and by the limit of every cgroup that this process is in."""
    return min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_memory_limits()])


def _memory_limits() -> Iterator[int]:
    for folder in cgroups("memory"):
        for name in MEMORY_FILES:
            with suppress(OSError, ValueError):
                yield int((folder / name).read_text())


def default_threads() -> int:
    """Half the cores that this process may use, at least one."""
    return max(1, usable_cores() // 2)


def limit_process(threads: int) -> None:
    """Keep this process to so many cores, and behind every other process.

    Called from the main thread before others are started: on Linux each inherits both from the one that starts it.
    """
    from threadpoolctl import threadpool_limits  # part of the trainer alone

    os.nice(NICE)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    threadpool_limits(threads)  # of libraries that have counted the cores already
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[variable] = str(threads)
