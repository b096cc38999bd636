"""Decodes photos on threads: expensive ones separately, within a memory budget.

A photo of 25 megapixels occupies a core for a second, and 300 MB. With one kind of thread, a few such photos would
keep all others waiting.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import inf
from threading import Condition, Lock

from app.serving.os_tuning import lower_priority
from catdog.decoding_cost import Demand, demand

COSTLY_SECONDS = 0.1  # a phone's photo of 12 megapixels takes less
NICE = 5  # inference has priority: decoding is ahead of it anyway
NICE_COSTLY = 10


class Decoders:
    """Two pools of threads, each in order of arrival. The one for costly photos has one thread fewer, at least one.

    Photos that aren't costly use at most half of `limit_bytes`, costly ones the other half. A photo that needs more is
    decoded while no other costly one is.
    """

    def __init__(self, threads: int, limit_bytes: int) -> None:
        self._quick = ThreadPoolExecutor(threads, "decoder", lower_priority, (NICE,))
        self._costly = ThreadPoolExecutor(max(1, threads - 1), "decoder-costly", lower_priority, (NICE_COSTLY,))
        self._memory = Memory(limit_bytes // 2)
        self._costly_bytes = limit_bytes // (2 * threads)

    def submit(self, photo: bytes, decode: Callable[[], None]) -> None:
        """Call `decode` on a thread, when it is the photo's turn."""
        self._quick.submit(self._sort, photo, decode)

    def close(self) -> None:
        """End the threads after their current photo; photos that wait are dropped."""
        self._quick.shutdown(wait=False, cancel_futures=True)
        self._costly.shutdown(wait=False, cancel_futures=True)

    def _sort(self, photo: bytes, decode: Callable[[], None]) -> None:
        try:
            cost = demand(photo)
        except MemoryError:  # decoding may fail too, and then reports it
            cost = Demand(seconds=inf, memory_bytes=self._memory.limit_bytes)
        if cost.seconds <= COSTLY_SECONDS and cost.memory_bytes <= self._costly_bytes:
            decode()
        else:
            self._costly.submit(self._decode_costly, cost.memory_bytes, decode)

    def _decode_costly(self, memory_bytes: int, decode: Callable[[], None]) -> None:
        with self._memory.taken(memory_bytes):
            decode()


class Memory:
    """A number of bytes that threads share; they wait for their share in turn."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.taken_bytes = 0
        self._turn = Lock()
        self._freed = Condition()

    def is_awaited(self) -> bool:
        """Whether a thread waits for its share."""
        return self._turn.locked()

    @contextmanager
    def taken(self, count: int) -> Iterator[None]:
        """Hold `count` bytes during the block, once they are free or no other thread holds any."""
        with self._turn, self._freed:
            self._freed.wait_for(lambda: not self.taken_bytes or self.taken_bytes + count <= self.limit_bytes)
            self.taken_bytes += count
        try:
            yield
        finally:
            with self._freed:
                self.taken_bytes -= count
                self._freed.notify()
