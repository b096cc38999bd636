"""Measures memory and processor time of a process and its children, and finds them, from /proc."""

import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CPUCLOCK_SCHED = 2  # from the kernel's linux/posix-timers.h
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PROGRAM = "app.processes.serving"  # of each process of a service that has several
LOCAL, REMOTE, INODE = 1, 2, 9  # indices in a row of /proc/net/tcp
STATE, PARENT, USER_TICKS, SYSTEM_TICKS, STARTED = 0, 1, 11, 12, 19  # indices in /proc/*/stat, counted after the name


@dataclass(frozen=True)
class Member:
    """One process. A later process with the same id has a different `started`."""

    pid: int
    parent: int
    started: int
    cpu_seconds: float


def members(root: int) -> list[Member]:
    """The living ones of the process and its descendants; empty without /proc."""
    known = list(_all())
    found = [each for each in known if each.pid == root]
    for parent in found:  # grows during the loop
        found += [each for each in known if each.parent == parent.pid]
    return found


def memory_bytes(root: int) -> tuple[int, int] | None:
    """Resident memory now and at the peak; None without /proc.

    Now: the sum of Pss, so that shared memory is counted once. Peak: the sum of each process's peak (VmHWM), with
    shared memory counted in each.
    """
    found = members(root)
    resident = sum(_kibibytes(each.pid, "smaps_rollup", "Pss") for each in found)
    peak = sum(_kibibytes(each.pid, "status", "VmHWM") for each in found)
    return (1024 * resident, 1024 * peak) if found else None


def cpu_seconds(root: int) -> float | None:
    """Processor seconds of the living processes; None without /proc."""
    found = members(root)
    return sum(each.cpu_seconds for each in found) if found else None


def serving(supervisor: int) -> set[int]:
    """The processes that serve below this one."""
    return {member.pid for member in members(supervisor) if PROGRAM in _read(Path(f"/proc/{member.pid}/cmdline"))}


def owner(pids: Iterable[int], port: int, client_port: int) -> int | None:
    """The process that accepted the connection from `client_port` to `port`; None if none of these has."""
    ends = f":{port:04X}", f":{client_port:04X}"
    rows = (line.split() for line in _read(Path("/proc/net/tcp")).splitlines())
    inodes = {row[INODE] for row in rows if row[LOCAL].endswith(ends[0]) and row[REMOTE].endswith(ends[1])}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    return next((pid for pid in pids if wanted & _files(pid)), None)


def run_seconds(pid: int) -> float:
    """Processor seconds of one process, to the nanosecond: the clock of clock_getcpuclockid(3). Only for Linux."""
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)


def kill(left: list[Member]) -> None:
    """Kill the processes that are still alive, even if their parent isn't."""
    alive = {(each.pid, each.started) for each in _all()}
    for each in left:
        if (each.pid, each.started) in alive:
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)


def _all() -> Iterator[Member]:
    for folder in PROC.glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            fields = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            if fields[STATE] == "Z":  # a zombie: ended, but not yet reaped by its parent
                continue
            used = (int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])) / TICKS_A_SECOND
            yield Member(int(folder.name), int(fields[PARENT]), int(fields[STARTED]), used)


def _kibibytes(pid: int, file: str, name: str) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        found = re.search(rf"^{name}:\s+(\d+) kB", (PROC / str(pid) / file).read_text("utf-8"), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0


def _files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):  # it has just ended
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(str(file.readlink()))
    return found


def _read(file: Path) -> str:
    with suppress(OSError):
        return file.read_text("utf-8", "replace")
    return ""
