"""An open loop: requests at a constant rate, so that waiting is measured."""

from collections.abc import Sequence
from statistics import median
from threading import Event, Thread
from time import perf_counter
from types import TracebackType
from typing import Self

import numpy as np

from benchmarks.harness.photos import Upload
from benchmarks.load.exchanges import Answered, Exchanges

WINDOW_SECONDS = 5.0
STOP_SECONDS = 0.1  # delay until the end is noticed


class OpenLoop:
    """Sends requests to the service on `port` at a constant rate from enter to exit, cycling through the photos.

    A photo that is due while other answers are pending is sent over another connection.
    """

    def __init__(self, port: int, uploads: Sequence[Upload], requests_a_second: float) -> None:
        self._port = port
        self._requests = [upload.request for upload in uploads]
        self._interval = 1 / requests_a_second
        self._over = Event()
        self._thread = Thread(target=self._ask)
        self.answered: list[Answered] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wait for the pending answers."""
        self._over.set()
        self._thread.join()

    @property
    def failures(self) -> int:
        return sum(one.answer is None for one in self.answered)

    @property
    def latencies_seconds(self) -> list[float]:
        """The latencies of answered requests, from their due times."""
        return [one.seconds for one in self.answered if one.answer is not None]

    def _ask(self) -> None:
        number, due = 0, perf_counter()
        with Exchanges(self._port, self._requests) as exchanges:
            while not self._over.is_set():
                while due <= perf_counter():
                    exchanges.ask(number % len(self._requests), due)
                    number, due = number + 1, due + self._interval
                self.answered += exchanges.wait(min(max(0.0, due - perf_counter()), STOP_SECONDS))
            while exchanges.waiting:
                self.answered += exchanges.wait()


def p99_milliseconds(answered: Sequence[Answered]) -> float:
    """The median over windows of WINDOW_SECONDS of each window's 99th percentile, failures left out.

    Other load on a shared machine delays it in bursts of a few seconds, which would otherwise dominate the result.
    """
    windows: dict[float, list[float]] = {}
    for one in answered:
        if one.answer is not None:
            windows.setdefault(one.due // WINDOW_SECONDS, []).append(one.seconds)
    return 1000 * median(float(np.percentile(seconds, 99)) for seconds in windows.values())
