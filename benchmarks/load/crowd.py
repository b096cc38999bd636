"""A closed loop spread over several processes, for services faster than one client process."""

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import chain
from threading import Barrier
from types import TracebackType
from typing import Self

from benchmarks.harness.processes import PATIENCE_SECONDS
from benchmarks.load import closed_loop
from benchmarks.load.closed_loop import Load, shuffled

Requests = Mapping[str, Sequence[bytes]]  # the requests' bytes, by kind

PROCESSES = 4


class Crowd:
    """Processes that divide the clients and begin together; `requests` are encoded once and passed to each process."""

    def __init__(self, requests: Requests, processes: int = PROCESSES) -> None:
        context = multiprocessing.get_context("spawn")
        self._processes = processes
        self._pool = ProcessPoolExecutor(processes, context, _prepare, (requests, context.Barrier(processes)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def ask(self, port: int, kind: str, clients: int, seconds: float, seed: int = 0) -> Load:
        """Send requests of this kind from all clients for some seconds; returns their combined results."""
        share, rest = divmod(clients, self._processes)
        parts = [
            self._pool.submit(_ask, port, kind, share + (place < rest), seconds, seed + place)
            for place in range(self._processes)
        ]
        return _together([part.result() for part in parts])


def _together(loads: Sequence[Load]) -> Load:
    return Load(
        sum(load.clients for load in loads),
        max(load.seconds for load in loads),
        tuple(chain.from_iterable(load.latencies_seconds for load in loads)),
        sum(load.failures for load in loads),
        sum(load.client_cpu_seconds for load in loads),
        dict(enumerate(chain.from_iterable(load.answers.values() for load in loads))),
    )


_requests: Requests = {}
_barrier: Barrier


def _prepare(requests: Requests, barrier: Barrier) -> None:
    """Initialise a process."""
    global _requests, _barrier
    _requests, _barrier = requests, barrier


def _ask(port: int, kind: str, clients: int, seconds: float, seed: int) -> Load:
    """This process's part; the barrier makes all processes begin at the same time, with one part each."""
    _barrier.wait(PATIENCE_SECONDS)
    requests = _requests[kind]
    load = closed_loop.ask(port, requests, shuffled(len(requests), seed), clients, seconds)
    return replace(load, answers=load.answers if clients else {})
