"""How many processor cores this process may use.

A container's limit is a quota of time, which the kernel doesn't show where libraries count: OpenVINO would start a
thread for each of the host's cores, and all of them would then be held up together. Affinity it does honour.
"""

import os
import re
from collections.abc import Iterator
from math import ceil
from pathlib import Path

PROC = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")

# "number:controllers:/path" on each line; version 2 has one line, and no controllers there.
GROUP = re.compile(r"^\d+:([^:\n]*):/(.*)$", re.MULTILINE)

# Microseconds of processor time in every so many; without a limit version 2 says "max" and version 1 "-1".
QUOTA = re.compile(rb"(\d+)\s+([1-9]\d*)\s*")


def usable() -> int:
    """By affinity and by the quota of every cgroup that this process is in; a part of a core counts as one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *map(ceil, _quotas())]))


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
