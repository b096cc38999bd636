"""A PostgreSQL server of a benchmark, which can be ended like a crash, and suspended."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.harness.processes import BenchmarkError

USER: Final = "postgres"  # the server refuses to run as root


class Server:
    """A server on a socket in `folder`, of Debian's package `postgresql`.

    What it acknowledges is on the disk, unless `is_durable` is false, which is faster.
    """

    def __init__(self, folder: Path, is_durable: bool = True) -> None:
        self._folder = folder
        self._is_durable = is_durable
        self._user = USER if os.geteuid() == 0 else None
        self._programs = programs()
        folder.mkdir()
        if self._user is not None:
            shutil.chown(folder, self._user)
        sync = [] if is_durable else ["--no-sync"]
        self._run("initdb", "-D", "data", "-U", "catdog", "--auth=trust", "--no-instructions", *sync)

    @property
    def url(self) -> str:
        return f"postgresql://catdog@/postgres?host={self._folder}"

    def start(self) -> None:
        sync = "on" if self._is_durable else "off"
        options = f"-c listen_addresses= -c unix_socket_directories={self._folder} -c fsync={sync}"
        self._run("pg_ctl", "-D", "data", "-w", "-s", "-l", "log", "-o", options, "start")

    def crash(self) -> None:
        """End it without letting it finish anything; it refuses connections until it is started."""
        self._run("pg_ctl", "-D", "data", "-w", "-s", "-m", "immediate", "stop")

    @contextmanager
    def ended(self) -> Iterator[None]:
        self.crash()
        try:
            yield
        finally:
            self.start()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def server(folder: Path, is_durable: bool = True) -> Iterator[Server]:
    """A running server with an empty database."""
    made = Server(folder, is_durable)
    made.start()
    try:
        yield made
    finally:
        made.crash()


@contextmanager
def hung(url: str) -> Iterator[None]:
    """All processes of the server are suspended: it accepts connections and answers nothing."""
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
    server = int(pid_file.read_text(encoding="utf-8").split()[0])
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, encoding="utf-8", check=True).stdout  # noqa: S607
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [server, *(pid for pid, parent in pairs if parent == server)]


def programs() -> Path:
    """The folder of the newest installed server; BenchmarkError if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if path := shutil.which("initdb"):
        return Path(path).parent
    raise BenchmarkError("there is no PostgreSQL server; install Debian's package postgresql")
