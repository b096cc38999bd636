"""An open loop: requests at a constant rate, so that waiting shows."""

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
STOP_SECONDS = 0.1  # that the end may go unnoticed


class OpenLoop:
    """Asks the service on `port` so many times a second from enter to exit, the photos in turn.

    A photo that is due while others wait for their answers goes over another connection.
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
        """What was sent is still answered."""
        self._over.set()
        self._thread.join()

    @property
    def failures(self) -> int:
        return sum(one.answer is None for one in self.answered)

    @property
    def latencies_seconds(self) -> list[float]:
        """Of those answered, from the moment that each was due."""
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

    Other guests of a shared machine hold it up in bursts of a few seconds, which would else be all that one sees.
    """
    windows: dict[float, list[float]] = {}
    for one in answered:
        if one.answer is not None:
            windows.setdefault(one.due // WINDOW_SECONDS, []).append(one.seconds)
    return 1000 * median(float(np.percentile(seconds, 99)) for seconds in windows.values())
