"""Finds the processes of a service that has several, and whose a connection is, from /proc."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from benchmarks.harness import tree

PROGRAM = "app.processes.serving"
LOCAL, REMOTE, INODE = 1, 2, 9  # fields of /proc/net/tcp


def serving(supervisor: int) -> set[int]:
    """The processes that serve below this one."""
    return {member.pid for member in tree.members(supervisor) if PROGRAM in _read(Path(f"/proc/{member.pid}/cmdline"))}


def owner(pids: Iterable[int], port: int, client_port: int) -> int | None:
    """The process that accepted the connection from `client_port` to `port`; None if none of these has."""
    ends = f":{port:04X}", f":{client_port:04X}"
    rows = (line.split() for line in _read(Path("/proc/net/tcp")).splitlines())
    inodes = {row[INODE] for row in rows if row[LOCAL].endswith(ends[0]) and row[REMOTE].endswith(ends[1])}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    return next((pid for pid in pids if wanted & _files(pid)), None)


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
