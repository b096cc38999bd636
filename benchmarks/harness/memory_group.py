"""Limits a process's memory with a cgroup, as a container does; needs root on Linux."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
ENTER = 'echo $$ > "$0" && exec "$@"'  # the shell enters the group, and becomes the command


@contextmanager
def limited(command: list[str], memory_mib: int | None) -> Iterator[list[str]]:
    """The command that runs this one in a group of its own; the same one where None limits nothing."""
    if memory_mib is None:
        yield command
        return
    is_version_1 = (MOUNT / "memory").is_dir()
    group = MOUNT / ("memory" if is_version_1 else "") / f"catdog-{os.getpid()}"
    group.mkdir()
    try:
        limit = group / ("memory.limit_in_bytes" if is_version_1 else "memory.max")
        limit.write_text(str(memory_mib * 2**20))
        yield ["sh", "-c", ENTER, str(group / "cgroup.procs"), *command]
    finally:
        group.rmdir()
