"""What several processes gain and cost: requests a second and memory of two and of one.

`python -m benchmarks.experiments.processes [--rounds 9]` starts the service in turn with one and with two processes on
the same cores: with stubs for decoding and inference, where Python limits the rate, and with the shipped version. It
needs Linux.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Final, NamedTuple

from benchmarks.harness import photos
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import ROOT, Process, python, running
from benchmarks.harness.tree import serving
from benchmarks.load import closed_loop
from benchmarks.load.client import Client

WIDTH: Final = 1 / 32
INSTALL: Final = """import sys
if "app" in sys.orig_argv or "app.processes.serving" in sys.orig_argv:
    from benchmarks.serving import stub_service
    stub_service.install()
"""
COUNTS: Final = (1, 2)
SETTLE_SECONDS: Final = 2.0  # after the load, until memory of loading has been returned
MIB: Final = 2**20


@dataclass(frozen=True)
class Round:
    """One service: requests a second, processor time of each, median and 99th percentile of latency, memory (PSS)."""

    rate: float
    cpu_seconds: float
    median_seconds: float
    p99_seconds: float
    memory_bytes: int
    failures: int


class Part(NamedTuple):
    """A service that is measured: its store, and what clients send."""

    models: Path
    uploads: Sequence[Upload]
    variables: Mapping[str, str]


def stubbed(folder: Path) -> Part:
    """A service without decoding and inference: its processes import a module that replaces both at their start."""
    prepare(f"random({WIDTH}, Path({str(folder)!r}))")
    (folder / "sitecustomize.py").write_text(INSTALL)
    return Part(folder, [Upload.of(photos.generated(0))], {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"})


def shipped(folder: Path) -> Part:
    prepare(f"shipped(Path({str(ROOT / 'models')!r}), Path({str(folder)!r}))")
    return Part(folder, [Upload.of(picture) for picture in photos.photos()], {})


def measure(part: Part, processes: int, clients: int, seconds: float) -> Round:
    """Load a new service with the champion of a store."""
    models, uploads = part.models, part.uploads
    settings = {
        "CATDOG_MODELS_DIR": str(models),
        "CATDOG_DATA_DIR": str(models / "data"),
        "CATDOG_PROCESSES": str(processes),
        "CATDOG_WORKER": "none",
        **part.variables,
    }
    requests = [upload.request for upload in uploads]
    with running(python("app"), settings, models) as process:
        with Client(process.port) as client:
            process.seconds_until(lambda: client.predict(uploads[0]) is not None)
        process.seconds_until(lambda: processes == 1 or _sockets(process) == processes)
        order = closed_loop.shuffled(len(requests), seed=0)
        closed_loop.ask(process.port, requests, order, clients, seconds / 4)  # warms up
        before = process.cpu_seconds() or 0.0
        load = closed_loop.ask(process.port, requests, order, clients, seconds)
        cpu = ((process.cpu_seconds() or 0.0) - before) / load.answered
        sleep(SETTLE_SECONDS)
        memory = process.memory_bytes()
    p50, p99 = (load.percentile_seconds(percent) or 0.0 for percent in (50, 99))
    return Round(load.requests_a_second, cpu, p50, p99, memory[0] if memory else 0, load.failures)


def _sockets(process: Process) -> int:
    """The number of processes that serve and have been ready for others."""
    words = [Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0") for pid in serving(process.popen.pid)]
    folders = {each[each.index("--folder") + 1] for each in words}
    return sum(len(list(Path(folder).glob("*.sock"))) for folder in folders)


def table(rounds: dict[int, list[Round]]) -> list[str]:
    """A row for each number of processes, and the ratios of two to one."""
    rows = [
        "| processes | requests a second | processor time of each | median | 99th percentile | memory |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for processes, found in rounds.items():
        columns = [
            (each.rate, 1e3 * each.cpu_seconds, 1e3 * each.median_seconds, 1e3 * each.p99_seconds, each.memory_bytes)
            for each in found
        ]
        rate, cpu, median, p99, memory = map(statistics.median, zip(*columns, strict=True))
        cells = f"{rate:.1f} | {cpu:.2f} ms | {median:.1f} ms | {p99:.1f} ms | {memory / MIB:.0f} MiB"
        rows.append(f"| {processes} | {cells} |")
    pairs = list(zip(*(rounds[processes] for processes in COUNTS), strict=True))
    ratios = {
        "requests a second": [two.rate / one.rate for one, two in pairs],
        "processor time": [two.cpu_seconds / one.cpu_seconds for one, two in pairs],
        "memory": [two.memory_bytes / one.memory_bytes for one, two in pairs],
    }
    said = ", ".join(f"{statistics.median(values):.2f} in {name}" for name, values in ratios.items())
    failures = sum(each.failures for found in rounds.values() for each in found)
    return [*rows, "", f"two to one, median of rounds: {said}; {failures} requests failed"]


def prepare(statement: str) -> None:
    """Prepare a store by `versions`, in another process, so that this one shares no library with the services."""
    script = f"from pathlib import Path; from benchmarks.harness import versions; versions.{statement}"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.experiments.processes", description="Two processes and one.")
    parser.add_argument("--rounds", type=int, default=9, help="starts of each (9)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load in each (4)")
    parser.add_argument("--clients", type=int, default=8, help="that ask without a pause (8)")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="catdog-benchmark-") as temporary:
        folder = Path(temporary)
        parts = {
            "without decoding and inference": stubbed(folder / "stubbed"),
            "the shipped version": shipped(folder / "shipped"),
        }
        for name, part in parts.items():
            found: dict[int, list[Round]] = {processes: [] for processes in COUNTS}
            measure(part, 1, 1, 0.1)  # compiles and caches
            for number in range(given.rounds):
                for processes in COUNTS if number % 2 else reversed(COUNTS):
                    found[processes].append(measure(part, processes, given.clients, given.seconds))
            print(f"{name}; {given.rounds} starts of each in turn, {given.clients} clients, medians\n")
            print("\n".join([*table(found), ""]), flush=True)
    from benchmarks.harness.machine import Machine  # now: its libraries must not share memory with the services

    print(Machine.this().where)


if __name__ == "__main__":
    main()
