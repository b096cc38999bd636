"""A closed loop: N clients, each sending its next request after the last answer."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter, thread_time

import numpy as np

from benchmarks.load.exchanges import Exchanges

Order = Iterator[int]  # infinite indices of photos


@dataclass(frozen=True)
class Load:
    """The results of `clients` clients in `seconds`: each answer's time, and the number of failed requests."""

    clients: int
    seconds: float  # from the first request to the last answer
    latencies_seconds: tuple[float, ...]
    failures: int
    client_cpu_seconds: float  # used by the clients themselves
    answers: Mapping[int, bytes]  # the first for each photo, by index

    @property
    def answered(self) -> int:
        return len(self.latencies_seconds)

    @property
    def requests_a_second(self) -> float:
        """Answered requests per second."""
        return self.answered / self.seconds

    def percentile_seconds(self, percent: float) -> float | None:
        """A percentile of the latencies; None without answers."""
        return percentile(self.latencies_seconds, percent)


def percentile(seconds: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(seconds, percent)) if seconds else None


def ask(port: int, requests: Sequence[bytes], order: Iterator[int], clients: int, seconds: float) -> Load:
    """Send the requests in `order`, which is infinite, for some seconds, at least one from each client."""
    latencies: list[float] = []
    answers: dict[int, bytes] = {}
    failures = 0
    cpu, begun = thread_time(), perf_counter()
    with Exchanges(port, requests) as exchanges:
        for _ in range(clients):
            exchanges.ask(next(order), perf_counter())
        while exchanges.waiting:
            for one in exchanges.wait():
                if one.answer is None:
                    failures += 1
                else:
                    latencies.append(one.seconds)
                    answers.setdefault(one.place, one.answer)
                now = perf_counter()
                if now - begun < seconds:
                    exchanges.ask(next(order), now)
        took = perf_counter() - begun
    return Load(clients, took, tuple(latencies), failures, thread_time() - cpu, answers)


def shuffled(count: int, seed: int) -> Order:
    """The indices 0 to count - 1 in random order, repeated forever."""
    chance = random.Random(seed)  # noqa: S311  # no cryptography
    while True:
        yield from chance.sample(range(count), count)
