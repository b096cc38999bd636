"""Kills one of two processes under load, and promotes versions under load, and counts failed requests.

Clients use a service with a tiny network: half of them keep their connections, the others open one for each request.
When a process is killed, only requests on its own connections may fail, and no connection may be refused. After a
promotion every process must answer with the new version within LIMIT_SECONDS. It exits with 1 if it finds a problem.
"""

import argparse
import json
import os
import random
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, IncompleteRead
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter, sleep
from types import MappingProxyType
from typing import Final

from benchmarks.harness import versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import PREDICT, generated
from benchmarks.harness.processes import PATIENCE_SECONDS, Process, python, running
from benchmarks.harness.tree import owner, serving

KEY: Final = "the key of the service with two processes"
WIDTH: Final = 1 / 32
PROCESSES: Final = 2
LIMIT_SECONDS: Final = 2.0
LOAD_SECONDS: Final = (0.2, 1.5)  # before a kill
LOOK_SECONDS: Final = 0.01
NOTICED_SECONDS: Final = 1.0  # after a kill, within which its clients notice it


@dataclass
class Failures:
    """Requests that failed, by whether it was the killed process that had their connection."""

    answered: int = 0
    in_flight: int = 0
    others: list[str] = field(default_factory=list)


class Asking(Thread):
    """One client, which asks without a pause."""

    def __init__(
        self,
        process: Process,
        found: Failures,
        killed: dict[int, float],
        ended: Event,
        keeps: bool,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__()
        self._process = process
        self._found = found
        self._killed = killed
        self._ended = ended
        self._keeps = keeps
        self._headers = {"Content-Type": "image/jpeg", **headers}
        self._photo = generated(0)

    def run(self) -> None:
        connection, pid = HTTPConnection("127.0.0.1", self._process.port, timeout=PATIENCE_SECONDS), None
        while not self._ended.is_set():
            try:
                if connection.sock is None:
                    connection.connect()
                    pid = None  # it isn't known before the process has accepted the connection
                self._ask(connection)
                pid = pid or self._owner(connection)
            except (OSError, HTTPException) as error:
                self._fail(error, pid)
                connection.close()
            if not self._keeps:
                connection.close()
        connection.close()

    def _owner(self, connection: HTTPConnection) -> int | None:
        if not self._keeps:
            return None
        return owner(serving(self._process.popen.pid), self._process.port, connection.sock.getsockname()[1])

    def _ask(self, connection: HTTPConnection) -> None:
        connection.request("POST", PREDICT, self._photo, self._headers)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise HTTPException(response.status)
        self._found.answered += 1

    def _fail(self, error: Exception, pid: int | None) -> None:
        """Count a failure; without a known process it was on a new connection, which the killed one may have had."""
        cut_off = (ConnectionResetError, BrokenPipeError, IncompleteRead)
        is_cut_off = isinstance(error, cut_off) or "closed" in str(error)
        just_now = perf_counter() - NOTICED_SECONDS
        if is_cut_off and (pid in self._killed or (pid is None and max(self._killed.values(), default=0.0) > just_now)):
            self._found.in_flight += 1
        else:
            self._found.others.append(f"{error!r}, process {pid}")


@contextmanager
def asked(
    process: Process, clients: int, killed: dict[int, float], headers: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Failures]:
    """Apply the load during the block; `killed` may grow."""
    found, ended = Failures(), Event()
    threads = [Asking(process, found, killed, ended, bool(number % 2), headers) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@contextmanager
def service(folder: Path) -> Iterator[Process]:
    settings = {
        "CATDOG_MODELS_DIR": str(folder / "models"),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_PROCESSES": str(PROCESSES),
        "CATDOG_ADMIN_KEY": KEY,
        "CATDOG_WORKER": "none",
    }
    with running(python("app"), settings, folder) as process:
        process.seconds_until(lambda: len(connected(process)) == PROCESSES)
        yield process


def connected(process: Process) -> dict[int, HTTPConnection]:
    """Connections to the processes that accept any, by process."""
    found: dict[int, HTTPConnection] = {}
    for _ in range(8 * PROCESSES):
        connection = HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", "/health/ready")
            connection.getresponse().read()
        except (OSError, HTTPException):
            continue
        pid = owner(serving(process.popen.pid), process.port, connection.sock.getsockname()[1])
        if pid is not None:
            found.setdefault(pid, connection)
        if len(found) == PROCESSES:
            break
    return found


def kills(process: Process, count: int, clients: int) -> Failures:
    """Kill a random process `count` times, each time once both accept connections."""
    chance = random.Random(0)  # noqa: S311  # nothing secret
    killed: dict[int, float] = {}
    with asked(process, clients, killed) as found:
        for number in range(count):
            process.seconds_until(lambda: len(connected(process)) == PROCESSES)
            sleep(chance.uniform(*LOAD_SECONDS))
            pid = chance.choice(sorted(serving(process.popen.pid)))
            killed[pid] = perf_counter()
            os.kill(pid, signal.SIGKILL)
            print(f"\r{number + 1} of {count} kills", end="", file=sys.stderr, flush=True)
    return found


def promotions(process: Process, count: int, clients: int) -> tuple[Failures, list[float]]:
    """Promote two versions in turn; the seconds until every process answered with the new one."""
    seconds = []
    with asked(process, clients, {}) as found:
        each = list(connected(process).values())
        _promote(each[0], 1)  # the first request that writes makes the database
        for number in range(count):
            version = 2 - number % 2
            began = perf_counter()
            _promote(each[number % len(each)], version)
            while {_version(connection) for connection in each} != {version}:
                sleep(LOOK_SECONDS)
            seconds.append(perf_counter() - began)
            print(f"\r{number + 1} of {count} promotions", end="", file=sys.stderr, flush=True)
    return found, seconds


def _promote(connection: HTTPConnection, version: int) -> None:
    connection.request("POST", f"/models/{version}/promote", headers={"Authorization": f"Bearer {KEY}"})
    connection.getresponse().read()


def _version(connection: HTTPConnection) -> int:
    connection.request("GET", "/health/ready")
    return int(json.loads(connection.getresponse().read())["model_version"])


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.faults.processes", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="number of kills (20)")
    parser.add_argument("--promotions", type=int, default=200, help="number of promotions (200)")
    parser.add_argument("--clients", type=int, default=4, help="number of clients (4)")
    given = parser.parse_args()
    print(Machine.this().where)
    with TemporaryDirectory(prefix="catdog-benchmark-") as name:
        for _ in range(2):
            versions.random(WIDTH, Path(name) / "models")
        with service(Path(name)) as process:
            killing = kills(process, given.kills, given.clients)
        with service(Path(name)) as process:
            promoting, seconds = promotions(process, given.promotions, given.clients)
    print(
        f"\n{given.kills} kills: {killing.answered:,} answered, {killing.in_flight} in flight in the killed process"
        f" failed, {len(killing.others)} others {killing.others[:3]}"
    )
    late = sum(each > LIMIT_SECONDS for each in seconds)
    failed = promoting.others + ["cut off"] * promoting.in_flight
    print(
        f"{given.promotions} promotions: {promoting.answered:,} answered, {len(failed)} failed {failed[:3]};"
        f" both processes had the new version after {max(seconds):.2f} s at most, {late} after {LIMIT_SECONDS:g} s"
    )
    return 1 if killing.others or failed or late else 0


if __name__ == "__main__":
    sys.exit(main())
