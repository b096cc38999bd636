"""Real databases for tests."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = "postgres"  # the server refuses to run as root


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server on a socket in a temporary folder, removed at the end; skips if not installed."""
    programs = _programs()
    as_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(prefix="catdog-postgresql-") as name:
        folder = Path(name)
        if as_root:
            shutil.chown(folder, USER)

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, *arguments],
                check=True,
                user=USER if as_root else None,
                cwd=folder,
                stdout=subprocess.DEVNULL,
            )

        run("initdb", "-D", "data", "-U", "catdog", "--auth=trust", "--no-sync", "--no-instructions")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-D", "data", "-w", "-s", "-l", "log", "-o", options, "start")
        try:
            yield f"postgresql://catdog@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", "data", "-w", "-s", "-m", "immediate", "stop")


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """The server of `postgresql` with all its processes stopped, as on a suspended machine."""
    pids = _processes(Path(url.partition("host=")[2]) / "data" / "postmaster.pid")
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _processes(pid_file: Path) -> list[int]:
    """The server, and its children."""
    server = int(pid_file.read_text().split()[0])
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [server, *(pid for pid, parent in pairs if parent == server)]


def _programs() -> Path:
    """The folder of the newest installed server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if path := shutil.which("initdb"):
        return Path(path).parent
    pytest.skip("needs PostgreSQL's server (Debian's package postgresql)")
