"""Starts a system and measures it at several loads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Event

from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import Process, running
from benchmarks.load import closed_loop
from benchmarks.load.client import Client
from benchmarks.load.closed_loop import Load, percentile, shuffled
from benchmarks.load.open_loop import OpenLoop
from benchmarks.serving.systems import System

MANY = 8  # number of clients for comparing systems
CLIENTS = (1, 2, MANY, 32)
MANY_TIMES = 4  # times as long as the others: at the end of a load some cores are idle
CAPACITY_SHARE = 0.7  # of the most requests per second in the same round
OPEN_TIMES = 2.5  # times as long as a closed loop
SETTLE_TIMES = 1.25  # times as long, before measuring: a service may still do other work after its first answer


@dataclass(frozen=True)
class Open:
    """Results at a constant rate; latencies count from the due times."""

    requests_a_second: float
    latencies_seconds: tuple[float, ...]
    failures: int


@dataclass(frozen=True)
class Round:
    """The results of starting, loading and ending a system. Ready and first answer count from its start."""

    ready_seconds: float | None
    first_answer_seconds: float
    loads: Mapping[int, Load]  # by the number of clients
    open: Open | None  # if all CLIENTS were measured
    cpu_seconds: float | None  # of all its processes, per request, at the second largest number of clients
    resident_bytes: int | None
    peak_bytes: int | None

    @property
    def failures(self) -> int:
        return sum(load.failures for load in self.loads.values()) + (self.open.failures if self.open else 0)

    @property
    def answered(self) -> int:
        return sum(load.answered for load in self.loads.values()) + len(
            self.open.latencies_seconds if self.open else ()
        )


def measure(
    system: System, uploads: Sequence[Upload], clients: Sequence[int], seconds: float, folder: Path, seed: int
) -> Round:
    """Measure each number of clients for some seconds, then a constant rate; BenchmarkError if it doesn't start."""
    with running(system.command, system.settings, folder) as process:
        ready, first = start(system, process, uploads[0])
        requests, order = [upload.request for upload in uploads], shuffled(len(uploads), seed)
        closed_loop.ask(process.port, requests, order, MANY, SETTLE_TIMES * seconds)
        loads, cpu = {}, None
        for count in clients:
            before = process.cpu_seconds()
            length = seconds * MANY_TIMES if count == MANY else seconds
            loads[count] = load = closed_loop.ask(process.port, requests, order, count, length)
            if count == MANY and before is not None and load.answered:
                cpu = ((process.cpu_seconds() or 0) - before) / load.answered
        rate = CAPACITY_SHARE * max(load.requests_a_second for load in loads.values())
        opened = _open(process.port, uploads, rate, OPEN_TIMES * seconds) if clients == CLIENTS and rate else None
        resident, peak = process.memory_bytes() or (None, None)
    return Round(ready, first, loads, opened, cpu, resident, peak)


def start(system: System, process: Process, upload: Upload) -> tuple[float | None, float]:
    """Seconds from the start until it was ready, None if it doesn't report that, and until its first answer."""
    with Client(process.port) as client:
        health = system.health
        ready = None if health is None else process.seconds_until(lambda: client.succeeds(health))
        return ready, process.seconds_until(lambda: client.predict(upload) is not None)


def _open(port: int, uploads: Sequence[Upload], rate: float, seconds: float) -> Open:
    with OpenLoop(port, uploads, rate) as load:
        Event().wait(seconds)
    return Open(rate, tuple(load.latencies_seconds), load.failures)


@dataclass(frozen=True)
class Latency:
    """Medians over the rounds of each round's percentiles; None without answers."""

    p50_seconds: float | None
    p99_seconds: float | None

    @classmethod
    def of(cls, rounds: Iterable[Sequence[float]]) -> "Latency":
        each = [(percentile(seconds, 50), percentile(seconds, 99)) for seconds in rounds]
        return cls(medians(p50 for p50, _ in each), medians(p99 for _, p99 in each))


@dataclass(frozen=True)
class Summary:
    """The rounds of one system: medians, and total counts of requests."""

    rounds: int
    requests_a_second: Mapping[int, float]  # by the number of clients, like latencies
    latencies: Mapping[int, Latency]
    open: Latency | None
    answered: int
    failures: int
    ready_seconds: float | None
    first_answer_seconds: float
    cpu_seconds: float | None
    resident_bytes: float | None
    peak_bytes: float | None

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> "Summary":
        opened = [each.open.latencies_seconds for each in rounds if each.open]
        by_clients = {count: [each.loads[count] for each in rounds] for count in rounds[0].loads}
        return cls(
            rounds=len(rounds),
            requests_a_second={n: median(load.requests_a_second for load in each) for n, each in by_clients.items()},
            latencies={n: Latency.of(load.latencies_seconds for load in each) for n, each in by_clients.items()},
            open=Latency.of(opened) if opened else None,
            answered=sum(each.answered for each in rounds),
            failures=sum(each.failures for each in rounds),
            ready_seconds=medians(each.ready_seconds for each in rounds),
            first_answer_seconds=median(each.first_answer_seconds for each in rounds),
            cpu_seconds=medians(each.cpu_seconds for each in rounds),
            resident_bytes=medians(each.resident_bytes for each in rounds),
            peak_bytes=medians(each.peak_bytes for each in rounds),
        )


def medians(values: Iterable[float | None]) -> float | None:
    """The median of the known values."""
    known = [value for value in values if value is not None]
    return median(known) if known else None
