"""Requests at a constant rate, whatever the answers take: what a closed loop hides, waiting, shows here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from threading import Event, Lock, Thread
from time import perf_counter
from types import TracebackType
from typing import Self

import numpy as np

from benchmarks.client import Client, Upload

CONNECTIONS = 8
WINDOW_SECONDS = 5.0


@dataclass(frozen=True)
class Answered:
    """One request: which photo, when it was due, how long after that it was answered, and with what; None: failed."""

    place: int
    due: float
    seconds: float
    answer: bytes | None

    @property
    def version(self) -> int:
        return int(json.loads(self.answer or b"{}")["model_version"])

    @property
    def probabilities(self) -> Mapping[str, float]:
        found: Mapping[str, float] = json.loads(self.answer or b"{}")["probabilities"]
        return found


class OpenLoop:
    """Asks the service on `port` so many times a second from enter to exit, the photos in turn."""

    def __init__(self, port: int, uploads: Sequence[Upload], requests_a_second: float) -> None:
        self._port = port
        self._uploads = uploads
        self._interval = 1 / requests_a_second
        self._next = 0
        self._lock = Lock()
        self._over = Event()
        self._threads = [Thread(target=self._ask) for _ in range(CONNECTIONS)]
        self.answered: list[Answered] = []

    def __enter__(self) -> Self:
        self._began = perf_counter()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def failures(self) -> int:
        return sum(one.answer is None for one in self.answered)

    def _ask(self) -> None:
        with Client(self._port) as client:
            while True:
                with self._lock:
                    number, self._next = self._next, self._next + 1
                due = self._began + number * self._interval
                if self._over.wait(max(0.0, due - perf_counter())):
                    return
                place = number % len(self._uploads)
                answer = client.predict(self._uploads[place])
                self.answered.append(Answered(place, due, perf_counter() - due, answer))


def p99_milliseconds(answered: Sequence[Answered]) -> float:
    """The median over windows of WINDOW_SECONDS of each window's 99th percentile, failures left out.

    Other guests of a shared machine hold it up in bursts of a few seconds, which would else be all that one sees.
    """
    windows: dict[float, list[float]] = {}
    for one in answered:
        if one.answer is not None:
            windows.setdefault(one.due // WINDOW_SECONDS, []).append(one.seconds)
    return 1000 * median(float(np.percentile(seconds, 99)) for seconds in windows.values())
