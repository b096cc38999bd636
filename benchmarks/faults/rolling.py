"""Replaces four services behind HAProxy one by one under load, and counts failed requests.

`python -m benchmarks.faults.rolling [--replacements 200]` runs Debian's HAProxy with deploy/haproxy.cfg, and services
with a tiny network, which share one store and one database. Requests arrive at 70% of the rate that all of them answer.
Each replacement sends SIGTERM, waits for the end, and starts the service again on its port. It exits with 1 if a
request failed.
"""

import argparse
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.harness import versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import Upload, generated
from benchmarks.harness.processes import ROOT, BenchmarkError, Process, free_port, python, running
from benchmarks.load import closed_loop
from benchmarks.load.client import Client
from benchmarks.load.open_loop import OpenLoop

CONFIGURATION: Final = ROOT / "deploy" / "haproxy.cfg"
FRONTEND: Final = "127.0.0.1:8000"
SERVERS: Final = {"one": "127.0.0.1:8001", "two": "127.0.0.1:8002", "three": "127.0.0.1:8003", "four": "127.0.0.1:8004"}
WIDTH: Final = 1 / 32
CLIENTS: Final = 8
CAPACITY_SECONDS: Final = 5.0
SHARE: Final = 0.7  # of the capacity
STATUS: Final = 17  # column of HAProxy's `show stat`


class Balanced:
    """Four services behind HAProxy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._services: dict[str, tuple[ExitStack, Process]] = {}
        self._ports = {name: free_port() for name in SERVERS}
        self._socket = folder / "haproxy.sock"
        self.port = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run all of them, until each is in use."""
        try:
            for name in SERVERS:
                self._start(name)
            with self._haproxy() as haproxy:
                self.port = haproxy.port
                haproxy.seconds_until(lambda: all(map(self._is_used, SERVERS)))
                yield
        finally:
            for stack, _ in self._services.values():
                stack.close()

    def replace(self, name: str) -> None:
        """End one service and start it again, until it is in use."""
        stack, _ = self._services.pop(name)
        stack.close()
        self._start(name).seconds_until(lambda: self._is_used(name))

    def _start(self, name: str) -> Process:
        settings = {
            "CATDOG_MODELS_DIR": str(self._folder / "models"),
            "CATDOG_DATA_DIR": str(self._folder / "data"),
            "CATDOG_WORKER": "none",
        }
        (home := self._folder / name).mkdir(exist_ok=True)
        stack = ExitStack()
        process = stack.enter_context(running(python("app"), settings, home, self._ports[name]))
        self._services[name] = stack, process
        with Client(process.port) as client:
            process.seconds_until(lambda: client.succeeds("/health/ready"))
        return process

    @contextmanager
    def _haproxy(self) -> Iterator[Process]:
        if (program := shutil.which("haproxy")) is None:
            raise BenchmarkError("this needs HAProxy, which Debian's package `haproxy` brings")
        port = free_port()
        text = CONFIGURATION.read_text("utf-8").replace(FRONTEND, f"127.0.0.1:{port}")
        for name, address in SERVERS.items():
            text = text.replace(address, f"127.0.0.1:{self._ports[name]}")
        (file := self._folder / "haproxy.cfg").write_text(text, "utf-8")
        (more := self._folder / "socket.cfg").write_text(f"global\n    stats socket {self._socket}\n", "utf-8")
        with running([program, "-db", "-f", str(file), "-f", str(more)], {}, self._folder, port) as process:
            process.seconds_until(self._socket.exists)
            yield process

    def _is_used(self, name: str) -> bool:
        """Whether HAProxy sends requests to this service."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self._socket))
            asked.sendall(b"show stat\n")
            said = b"".join(iter(lambda: asked.recv(65536), b"")).decode()
        rows = (line.split(",") for line in said.splitlines())
        return any(row[:2] == ["catdog", name] and row[STATUS] == "UP" for row in rows if len(row) > STATUS)


def measure(folder: Path, replacements: int, rate: float | None = None) -> tuple[float, int, int]:
    """Requests a second, by default SHARE of the capacity, and the numbers of requests and of failed ones."""
    versions.random(WIDTH, folder / "models")
    uploads = [Upload.of(generated(0))]
    balanced = Balanced(folder)
    with balanced.running():
        rate = rate or SHARE * _capacity(balanced.port, uploads)
        with OpenLoop(balanced.port, uploads, rate) as load:
            for number, name in zip(range(replacements), cycle(SERVERS)):
                balanced.replace(name)
                print(f"\r{number + 1} of {replacements} replacements", end="", file=sys.stderr, flush=True)
    return rate, len(load.answered), load.failures


def _capacity(port: int, uploads: Sequence[Upload]) -> float:
    requests = [upload.request for upload in uploads]
    found = closed_loop.ask(port, requests, cycle(range(len(requests))), CLIENTS, CAPACITY_SECONDS)
    if found.failures:
        raise BenchmarkError(f"{found.failures} requests failed before any service was replaced")
    return found.requests_a_second


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.faults.rolling", description=__doc__)
    parser.add_argument("--replacements", type=int, default=200, help="number of replacements (200)")
    given = parser.parse_args()
    print(Machine.this().where)
    with TemporaryDirectory(prefix="catdog-benchmark-") as name:
        rate, requests, failures = measure(Path(name), given.replacements)
    print(
        f"\n{given.replacements} replacements at {rate:.0f} requests a second: {requests:,} requests, {failures} failed"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
