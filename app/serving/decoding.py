"""Decodes photos on threads: expensive ones separately, within a memory budget.

A photo of 25 megapixels takes a core for a second and 300 MB. Were there one kind of thread, as many such photos as
there are threads would keep all others waiting.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import inf
from threading import Condition, Lock

from app.serving.os_tuning import lower_priority
from catdog.decoding_cost import Demand, demand

COSTLY_SECONDS = 0.1  # a phone's photo of 12 megapixels takes less
NICE = 5  # inference goes before decoding, which is ahead of it anyway
NICE_COSTLY = 10


class Decoders:
    """Each kind is served in the order of arrival. Costly photos have one thread less than the others, at least one.

    Photos that aren't costly take at most half the budget of `limit_bytes`, costly ones the other half; one that takes
    more is decoded when no other costly one is.
    """

    def __init__(self, threads: int, limit_bytes: int) -> None:
        self._quick = ThreadPoolExecutor(threads, "decoder", lower_priority, (NICE,))
        self._costly = ThreadPoolExecutor(max(1, threads - 1), "decoder-costly", lower_priority, (NICE_COSTLY,))
        self._memory = Memory(limit_bytes // 2)
        self._costly_bytes = limit_bytes // (2 * threads)

    def submit(self, photo: bytes, decode: Callable[[], None]) -> None:
        """Have `decode` called on a thread, when it is the photo's turn."""
        self._quick.submit(self._sort, photo, decode)

    def close(self) -> None:
        """End the threads once they are done with what they are at; what waits is dropped."""
        self._quick.shutdown(wait=False, cancel_futures=True)
        self._costly.shutdown(wait=False, cancel_futures=True)

    def _sort(self, photo: bytes, decode: Callable[[], None]) -> None:
        try:
            cost = demand(photo)
        except MemoryError:  # decoding it may fail as well, and then says so
            cost = Demand(seconds=inf, memory_bytes=self._memory.limit_bytes)
        if cost.seconds <= COSTLY_SECONDS and cost.memory_bytes <= self._costly_bytes:
            decode()
        else:
            self._costly.submit(self._decode_costly, cost.memory_bytes, decode)

    def _decode_costly(self, memory_bytes: int, decode: Callable[[], None]) -> None:
        with self._memory.taken(memory_bytes):
            decode()


class Memory:
    """A number of bytes that threads share; they wait for their part in turn."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.taken_bytes = 0
        self._turn = Lock()
        self._freed = Condition()

    def is_awaited(self) -> bool:
        """Whether a thread waits for its part."""
        return self._turn.locked()

    @contextmanager
    def taken(self, count: int) -> Iterator[None]:
        """So many bytes until the end, once there is room for them or nothing else takes any."""
        with self._turn, self._freed:
            self._freed.wait_for(lambda: not self.taken_bytes or self.taken_bytes + count <= self.limit_bytes)
            self.taken_bytes += count
        try:
            yield
        finally:
            with self._freed:
                self.taken_bytes -= count
                self._freed.notify()
