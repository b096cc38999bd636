"""Starts and ends the measured processes."""

import os
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
ENTER = 'echo $$ > "$0" && exec "$@"'  # the shell enters the group, and becomes the command

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 180  # what a start or a request may take
END_SECONDS = 30  # what an end may take
POLL_SECONDS = 0.02
LOG = "log.txt"
LEFT_OUT = ("HOST", "PORT", "PYTHONDONTWRITEBYTECODE")  # without bytecode a start takes as long as the very first one
LOG_CHARACTERS = 2000  # of its end, shown where a process failed


class BenchmarkError(Exception):
    """Nothing could be measured; the text says why."""


@dataclass(frozen=True)
class Process:
    """A service on a loopback port; `started` is the moment before it was executed."""

    popen: subprocess.Popen[bytes]
    port: int
    started: float
    log: Path

    def seconds_until(self, condition: Callable[[], bool]) -> float:
        """Wait for the condition and return how long after the start it came true."""
        while not condition():
            if self.popen.poll() is not None or perf_counter() - self.started > PATIENCE_SECONDS:
                raise self._failure()
            sleep(POLL_SECONDS)
        return perf_counter() - self.started

    def memory_bytes(self) -> tuple[int, int] | None:
        """Of the service and all that it started: resident now, and at its peak; None where there is no /proc."""
        if self.popen.poll() is not None:
            raise self._failure()
        return tree.memory_bytes(self.popen.pid)

    def cpu_seconds(self) -> float | None:
        """Of the service and all that it started; None where there is no /proc."""
        return tree.cpu_seconds(self.popen.pid)

    def _failure(self) -> BenchmarkError:
        state = "still didn't answer" if self.popen.returncode is None else "ended"
        seconds = perf_counter() - self.started
        return BenchmarkError(f"a service {state} after {seconds:.0f} s; its log:\n{tail(self.log)}")


@contextmanager
def running(command: list[str], settings: Mapping[str, str], folder: Path) -> Iterator[Process]:
    """A service that takes its port from the variable PORT, in `folder`; it is ended whatever happens."""
    port = _free_port()
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
    """Run a command in `folder` to its end, and return the seconds that it took; it ends when this is interrupted."""
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
    """Ours less LEFT_OUT and the settings of the service, with `settings` instead; this repository can be imported."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("CATDOG_") and name not in LEFT_OUT
    }
    return {**kept, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow", **settings}


def tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-LOG_CHARACTERS:]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _end(popen: subprocess.Popen[bytes]) -> None:
    """End it, and then what it left behind."""
    started = tree.members(popen.pid)
    popen.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            popen.wait(END_SECONDS)
    finally:  # also where a second Ctrl-C cuts the waiting short
        popen.kill()
        popen.wait()
        tree.kill(started)


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
