"""Publishes, promotes and loses the object store of versions under load, and counts failures.

`python -m benchmarks.faults.storage` runs moto's S3 server, a service with a tiny network under the load of clients,
and followers that load versions as replicas do, each with its own cache. Publishers race: each must get its own number.
Promotions follow each other: all must have the last one soon afterwards. Then the server hangs: predictions must
go on, changes and pictures must be answered 503 with `Retry-After`, and what was acknowledged must be there afterwards.
It exits with 1 if it finds a problem.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter, sleep
from typing import Final

from app.serving.hot_swap import POLL_SECONDS
from benchmarks.faults.processes import asked
from benchmarks.faults.writing import BACK_SECONDS, KEY, WRITE_SECONDS, Writer, Writes, stored
from benchmarks.harness import versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.processes import PATIENCE_SECONDS, Process, free_port, python, running
from catdog.system.location import Remote
from catdog.versions.store import Store

WIDTH: Final = 1 / 32
BUCKET: Final = "s3://models/catdog"
PICTURES: Final = "s3://models/pictures"
ACCESS: Final = {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark", "AWS_REGION": "us-east-1"}
VERSIONS: Final = 8  # that promotions take turns with; a cache has room for them
CLIENTS: Final = 4
LOOK_SECONDS: Final = 0.02
BEFORE_SECONDS: Final = 10.0  # of pictures before the server hangs, so that some are acknowledged
CHANGE_SECONDS: Final = 2.0  # between two attempts at a change while the server hangs


class Follower(Thread):
    """Has the champion of its own cache downloaded and verified, as a replica has."""

    def __init__(self, folder: Path, ended: Event) -> None:
        super().__init__()
        self._store = Store(Remote(BUCKET, folder))
        self._ended = ended
        self.version = 0
        self.problems: list[str] = []

    def run(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            try:
                champion = self._store.champion()
                self._store.open(champion).verify()
                self.version = champion
            except Exception as error:  # counted: a follower has no other use for it
                self.problems.append(repr(error))


@contextmanager
def server(folder: Path, bucket: str = "models") -> Iterator[Process]:
    """Moto's S3 server with an empty bucket; the environment names it, also for services."""
    folder.mkdir()
    port = free_port()
    os.environ.update(ACCESS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    with running(python("moto.server", "-H", "127.0.0.1", "-p", str(port)), {}, folder, port) as process:
        process.seconds_until(lambda: _has_made(bucket, port))
        yield process


def _has_made(bucket: str, port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("PUT", f"/{bucket}")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def service(folder: Path) -> Iterator[Process]:
    folder.mkdir()
    settings = {
        "CATDOG_MODELS_DIR": BUCKET,
        "CATDOG_PICTURES": PICTURES,
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_ADMIN_KEY": KEY,
        "CATDOG_WORKER": "none",
    }
    with running(python("app"), settings, folder) as process:
        process.seconds_until(lambda: _serving(process) > 0)
        yield process


def _serving(process: Process) -> int:
    """The version that the service serves; 0 if it isn't ready."""
    connection = HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        return int(json.loads(connection.getresponse().read()).get("model_version") or 0)
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


def race(folder: Path, publishers: int) -> list[str]:
    """Let publishers race, each with its own cache; returns what is wrong."""

    def publish(number: int) -> int:
        return versions.random(WIDTH, Remote(BUCKET, folder / str(number))).number

    began = perf_counter()
    with ThreadPoolExecutor(publishers) as threads:
        numbers = sorted(threads.map(publish, range(publishers)))
    seconds, store = perf_counter() - began, Store(Remote(BUCKET, folder / "new"))
    print(f"{publishers} publishers at once: {len(set(numbers))} numbers in {seconds:.1f} s")
    for number in store.versions():
        store.open(number).verify()
    return [] if tuple(numbers) == store.versions() == tuple(range(1, publishers + 1)) else [f"numbers: {numbers}"]


def follow(process: Process, folder: Path, replicas: int, promotions: int, late_seconds: float) -> list[str]:
    """Promote versions in turn while the replicas, of which one is the service, follow; returns what is wrong."""
    ended, store = Event(), Store(Remote(BUCKET, folder / "promoter"))
    followers = [Follower(folder / f"replica-{number}", ended) for number in range(replicas - 1)]
    for follower in followers:
        follower.start()
    try:
        with asked(process, CLIENTS, {}) as found:
            began = perf_counter()
            for number in range(promotions):
                store.promote(1 + (number + 1) % VERSIONS)
                print(f"\r{number + 1} of {promotions} promotions", end="", file=sys.stderr, flush=True)
            last, promoted = store.champion(), perf_counter()
            seconds = _until_all_have(last, process, followers)
    finally:
        ended.set()
        for follower in followers:
            follower.join()
    print(
        f"\n{promotions} promotions in {promoted - began:.1f} s, {replicas} replicas: {found.answered:,} requests"
        f" answered, {len(found.others)} failed; all on the last version after {seconds:.2f} s"
    )
    late = [f"the last replica was {seconds:.1f} s late"] if seconds > late_seconds else []
    return [*found.others, *late, *(problem for follower in followers for problem in follower.problems)]


def _until_all_have(version: int, process: Process, followers: Sequence[Follower]) -> float:
    began = perf_counter()
    while {_serving(process), *(follower.version for follower in followers)} != {version}:
        if perf_counter() - began > PATIENCE_SECONDS:
            return float("inf")
        sleep(LOOK_SECONDS)
    return perf_counter() - began


def away(process: Process, bucket: Process, folder: Path, seconds: float) -> list[str]:
    """Let the server hang under load, and try to promote and to add pictures; returns what is wrong."""
    acknowledged = 1 + Store(Remote(BUCKET, folder / "before")).champion() % VERSIONS
    status, _ = _promote(process, acknowledged)
    wrong = [] if status == 200 else [f"a promotion was answered {status}"]
    refused, writes, ended = 0, Writes(), Event()
    writer = Writer(process, writes, ended, start=1)
    with asked(process, CLIENTS, {}) as found:
        writer.start()
        sleep(BEFORE_SECONDS)
        bucket.popen.send_signal(signal.SIGSTOP)
        try:
            until = perf_counter() + seconds
            while perf_counter() < until:
                status, retry_after = _promote(process, 1 + acknowledged % VERSIONS)
                refused += 1
                if status != 503 or not retry_after:
                    wrong.append(f"a change was answered {status}, Retry-After: {retry_after}")
                sleep(CHANGE_SECONDS)
        finally:
            bucket.popen.send_signal(signal.SIGCONT)
        back = perf_counter()
        while writes.last < back and perf_counter() < back + BACK_SECONDS:
            sleep(WRITE_SECONDS)
        ended.set()
        writer.join()
        champion = Store(Remote(BUCKET, folder / "after")).champion()
    print(
        f"{seconds:g} s without the object store: {found.answered:,} requests answered, {len(found.others)} failed;"
        f" {refused} changes refused; the champion is {champion}, {acknowledged} was acknowledged"
    )
    lost = writes.acknowledged - stored(process)
    print(
        f"pictures: {len(writes.acknowledged)} acknowledged, {len(lost)} lost, {writes.refused} refused, the slowest"
        f" answer after {writes.slowest:.1f} s; adding again after {writes.last - back:.1f} s"
    )
    wrong += [*writes.wrong, *(f"picture {one} was acknowledged and is lost" for one in lost)]
    if not writes.refused or writes.last < back:
        wrong.append(f"{writes.refused} pictures refused, or no more adding")
    return [*wrong, *found.others, *([] if champion == acknowledged else ["an acknowledged promotion was lost"])]


def _promote(process: Process, version: int) -> tuple[int, str | None]:
    """Status and Retry-After."""
    connection = HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_SECONDS)
    connection.request("POST", f"/models/{version}/promote", headers={"Authorization": f"Bearer {KEY}"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.getheader("Retry-After")


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.faults.storage", description=__doc__)
    parser.add_argument("--publishers", type=int, default=100, help="number of publishers at once (100)")
    parser.add_argument("--replicas", type=int, default=20, help="number of replicas (20)")
    parser.add_argument("--promotions", type=int, default=1000, help="number of promotions (1000)")
    parser.add_argument(
        "--late", type=float, default=3, help="seconds after the last promotion in which all must have it (3)"
    )
    parser.add_argument("--away", type=float, default=60, help="seconds without the object store (60)")
    given = parser.parse_args()
    print(Machine.this().where)
    with TemporaryDirectory(prefix="catdog-benchmark-") as name, server(Path(name) / "server") as bucket:
        folder = Path(name)
        wrong = race(folder, max(given.publishers, VERSIONS))
        with service(folder / "service") as process:
            wrong += follow(process, folder, given.replicas, given.promotions, given.late)
            wrong += away(process, bucket, folder, given.away)
    for problem in wrong[:10]:
        print(problem)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
