"""Measures how hostile clients affect a well-behaved one.

Starts the service with the shipped model on a loopback port, and a client that predicts five times per second: alone,
then during an attack. Finally the service gets SIGTERM under the attack. A scenario is a function that runs one
attacker until an event is set; add it to SCENARIOS. `--memory-mib` limits the service's memory.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter

import numpy as np

from benchmarks.harness import photos, processes
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import PREDICT, Upload
from benchmarks.harness.processes import ROOT, Process, python, running
from benchmarks.load import hostile_clients, hostile_photos
from benchmarks.load.client import Client

EVERY_SECONDS = 0.2
GRACE_SECONDS = 11  # the defaults of `leave_seconds` and `drain_seconds`
END_SECONDS = 300  # after SIGTERM, then the service is killed
WORST = (
    "AVIF, alpha",
    "WebP, lossless, alpha",
    "PNG, 16 bits, alpha",
    "BMP, runs beyond the row",
    "JPEG, no end, long",
    "JPEG, 50 scans, CMYK, long",
    "JPEG, Exif segments of 10 KB",
    "PNG, empty chunks",
    "GIF",
)

Attack = Callable[[int, int, Event], None]  # arguments: port, number of the attacker, and the event that ends it


@dataclass
class Seen:
    """The well-behaved client's results: the time of each answer in seconds, and the number of failures."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def percentile_ms(self, percent: float) -> float:
        return 1000 * float(np.percentile(self.seconds, percent))


def predict_for(port: int, seconds: float) -> Seen:
    """A prediction every EVERY_SECONDS; after a late answer the next one is sent at once."""
    seen, uploads = Seen(), [Upload.of(photo) for photo in photos.photos()]
    began = perf_counter()
    with Client(port) as client:
        for turn in range(int(seconds / EVERY_SECONDS)):
            Event().wait(max(0.0, began + turn * EVERY_SECONDS - perf_counter()))
            asked = perf_counter()
            seen.failed += client.predict(uploads[turn % len(uploads)]) is None
            seen.seconds.append(perf_counter() - asked)
            if perf_counter() - began > seconds:
                break
    return seen


def worst_photos() -> Attack:
    """Sends the most expensive files within 10 MiB and 25 megapixels, one after another."""
    files = [hostile_photos.FILES[name]() for name in WORST]

    def attack(port: int, number: int, stop: Event) -> None:
        turn = number
        while not stop.is_set():
            connection = HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                connection.request("POST", PREDICT, files[turn % len(files)], {"Content-Type": "image/*"})
                connection.getresponse().read()
            except (OSError, HTTPException):
                stop.wait(0.05)
            finally:
                connection.close()
            turn += 1

    return attack


SCENARIOS: dict[str, Callable[[], Attack]] = {
    "worst-photos": worst_photos,
    **{name: partial(hostile_clients.elsewhere, name) for name in hostile_clients.KINDS},
}


@contextmanager
def attacked(attack: Attack, port: int, clients: int) -> Iterator[None]:
    stop = Event()
    threads = [Thread(target=attack, args=(port, number, stop)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def measure(
    attack: Attack,
    clients: int,
    seconds: float,
    folder: Path,
    models: Path = ROOT / "models",
    memory_mib: int | None = None,
) -> Iterator[str]:
    settings = {
        "CATDOG_MODELS_DIR": str(models),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_WORKER": "none",
    }
    with processes.limited(python("app"), memory_mib) as command, running(command, settings, folder) as process:
        with Client(process.port) as client:
            process.seconds_until(lambda: client.succeeds("/health/ready"))
        predict_for(process.port, 2)  # warm-up
        alone = predict_for(process.port, seconds / 2)
        with attacked(attack, process.port, clients):
            beside = predict_for(process.port, seconds)
            memory = process.memory_bytes()
            ending = end(process)
    for name, seen in (("alone", alone), ("attacked", beside)):
        yield (
            f"  {name:9}{len(seen.seconds):5} predictions, {seen.failed} failed;"
            f" median {seen.percentile_ms(50):.0f} ms, p99 {seen.percentile_ms(99):.0f} ms"
        )
    yield f"  p99 rose to {beside.percentile_ms(99) / alone.percentile_ms(99):.2f} times"
    if memory:
        yield f"  memory at its peak {memory[1] / 1e6:.0f} MB"
    yield f"  {ending}"


def end(process: Process) -> str:
    began = perf_counter()
    process.popen.terminate()
    try:
        status = process.popen.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        return f"didn't end within {END_SECONDS} s of SIGTERM"
    return f"ended {perf_counter() - began:.1f} s after SIGTERM (grace {GRACE_SECONDS} s), exit status {status}"


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.faults.abuse", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; by default all")
    parser.add_argument("--seconds", type=float, default=60, help="duration of each attack (60)")
    parser.add_argument("--clients", type=int, default=2, help="number of attackers (2)")
    parser.add_argument("--memory-mib", type=int, help="memory limit of the service, by a cgroup (none)")
    given = parser.parse_args()
    for name in given.scenarios:
        if name not in SCENARIOS:
            parser.error(f"there is no scenario {name!r}, only {', '.join(SCENARIOS)}")
    sys.stdout.write(f"{Machine.this().where}\n")
    for name in given.scenarios or SCENARIOS:
        sys.stdout.write(f"\n{name}: {given.clients} clients for {given.seconds:.0f} s\n")
        with TemporaryDirectory() as folder:
            for line in measure(
                SCENARIOS[name](), given.clients, given.seconds, Path(folder), memory_mib=given.memory_mib
            ):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
