"""Starts and ends the measured processes."""

import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

from benchmarks.harness import tree

MOUNT = Path("/sys/fs/cgroup")
ENTER = 'echo $$ > "$0" && exec "$@"'  # the shell enters the cgroup, then executes the command

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 180  # limit for a start or a request
END_SECONDS = 30  # limit for an end
POLL_SECONDS = 0.02
PORTS = range(10_000, 32_000)  # https://docs.kernel.org/networking/ip-sysctl.html: ip_local_port_range is above
LOG = "log.txt"
LEFT_OUT = ("HOST", "PORT", "PYTHONDONTWRITEBYTECODE")  # without bytecode every start takes as long as the first one
LOG_CHARACTERS = 2000  # of its end, shown if a process failed


class BenchmarkError(Exception):
    """Nothing could be measured; the text says why."""


@dataclass(frozen=True)
class Process:
    """A service on a loopback port; `started` is the time before it was executed."""

    popen: subprocess.Popen[bytes]
    port: int
    started: float
    log: Path

    def seconds_until(self, condition: Callable[[], bool]) -> float:
        """Wait for the condition and return the seconds since the start."""
        while not condition():
            if self.popen.poll() is not None or perf_counter() - self.started > PATIENCE_SECONDS:
                raise self._failure()
            sleep(POLL_SECONDS)
        return perf_counter() - self.started

    def memory_bytes(self) -> tuple[int, int] | None:
        """Resident memory of the service and its children, now and at the peak; None without /proc."""
        if self.popen.poll() is not None:
            raise self._failure()
        return tree.memory_bytes(self.popen.pid)

    def cpu_seconds(self) -> float | None:
        """Processor seconds of the service and its children; None without /proc."""
        return tree.cpu_seconds(self.popen.pid)

    def _failure(self) -> BenchmarkError:
        state = "still didn't answer" if self.popen.returncode is None else "ended"
        seconds = perf_counter() - self.started
        return BenchmarkError(f"a service {state} after {seconds:.0f} s; its log:\n{tail(self.log)}")


@contextmanager
def running(
    command: list[str], settings: Mapping[str, str], folder: Path, port: int | None = None
) -> Iterator[Process]:
    """Run a service in `folder` that reads its port, else a free one, from the variable PORT; it is always ended."""
    port = port or free_port()
    log = folder / LOG
    with log.open("wb") as file:
        started = perf_counter()
        variables = environment({**settings, "PORT": str(port)})
        popen = subprocess.Popen(command, cwd=folder, env=variables, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield Process(popen, port, started, log)
        finally:
            _end(popen)


def run(command: list[str], settings: Mapping[str, str], folder: Path) -> float:
    """Run a command in `folder` and return its seconds; an interruption ends it."""
    log = folder / LOG
    with log.open("wb") as file:
        started = perf_counter()
        done = subprocess.run(
            command, cwd=folder, env=environment(settings), stdout=file, stderr=subprocess.STDOUT, check=False
        )
        seconds = perf_counter() - started
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[1:4])} failed; its log:\n{tail(log)}")
    return seconds


def python(module: str, *arguments: str | Path, interpreter: Path | str = sys.executable) -> list[str]:
    """The command that runs a module of this repository."""
    return [str(interpreter), "-m", module, *map(str, arguments)]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Our environment without LEFT_OUT and the service's settings, plus `settings` and this repository's path."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("CATDOG_") and name not in LEFT_OUT
    }
    return {**kept, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow", **settings}


def tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-LOG_CHARACTERS:]


def free_port() -> int:
    """A free port that Linux gives to no outgoing connection, which could take it before the service does."""
    for port in random.sample(PORTS, len(PORTS)):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise BenchmarkError(f"no port from {PORTS[0]} to {PORTS[-1]} is free")


def _end(popen: subprocess.Popen[bytes]) -> None:
    """End the process, then its remaining children."""
    started = tree.members(popen.pid)
    popen.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            popen.wait(END_SECONDS)
    finally:  # also if a second Ctrl-C interrupts the waiting
        popen.kill()
        popen.wait()
        tree.kill(started)


@contextmanager
def limited(command: list[str], memory_mib: int | None) -> Iterator[list[str]]:
    """The command wrapped to run in a cgroup with this limit; unchanged if the limit is None."""
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
