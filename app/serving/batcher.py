"""Batches photos of many requests for one engine, behind a bounded queue.

    request -> decoding, in a small pool -> queue -> inference, of up to the engine's batch size -> answer

A processor's engine infers one photo at a time, a GPU's many. Photos that wait while it works form the next batch. The
engine doesn't idle to fill a batch, unless photos that could join it are being decoded.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from math import ceil, inf
from threading import Barrier, Condition
from time import perf_counter
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.admission import AdmissionLimit
from app.errors import Expired
from app.serving.decoding import Decoders
from app.serving.prediction import Picture
from app.serving.queue_stats import QueueStats
from app.settings import Settings
from app.telemetry.request_record import PhotoTimes, record_photo
from catdog import images
from catdog.engines.engine import Engine, Output
from catdog.system import resources

logger = logging.getLogger(__name__)

MOST_DECODERS = 16  # unless set otherwise
MEMORY_SHARE = 4  # by default decoding may use a quarter of the memory
CALM_SECONDS = 0.5  # without two photos in the queue at once; after it a single photo may use every core


Answer = TypeVar("Answer")
Watch = Callable[[NDArray[np.uint8], Output], None]  # gets the pixels and output of a photo that was answered


@dataclass(eq=False)
class Waiting(Generic[Answer]):
    """One photo in the queue. Its result is set on the event loop; threads only check whether it is still wanted."""

    engine: Engine
    then: Callable[[Output], Answer]
    answer: asyncio.Future[Answer]
    moments: PhotoTimes = field(default_factory=PhotoTimes)
    pixels: NDArray[np.uint8] | None = None
    watch: Watch | None = None

    @property
    def is_wanted(self) -> bool:
        """False once its deadline has passed or its client has disconnected."""
        return not self.answer.done()

    def finish(self, output: Output) -> None:
        """Make the answer from the engine's output."""
        if not self.is_wanted:
            return
        try:
            answer = self.then(output)
        except Exception as error:
            self.fail(error)
        else:
            self._soon(self.answer.set_result, answer)
            if self.watch is not None and self.pixels is not None:
                self.watch(self.pixels, output)

    def fail(self, error: Exception) -> None:
        self._soon(self.answer.set_exception, error)

    def forget(self) -> None:
        """Drop the result: an error refers to frames that refer to it, which only the garbage collector would free."""
        self.answer = self.answer.get_loop().create_future()
        self.answer.cancel()

    def _soon(self, settle: Callable[[Any], None], value: object) -> None:
        self.answer.get_loop().call_soon_threadsafe(self._settle, settle, value)

    def _settle(self, settle: Callable[[Any], None], value: object) -> None:
        if self.is_wanted:
            settle(value)


class Batcher:
    """Runs photos through engines. `infer` and `admission` are for the event loop, all else runs on threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.measurements = QueueStats()
        self.admission = AdmissionLimit(settings.queue_items, self.measurements.overloaded)
        self._decoders = Decoders(
            settings.decoders or min(resources.usable_cores(), MOST_DECODERS),
            settings.decoding_bytes or resources.usable_bytes() // MEMORY_SHARE,
        )
        self._runners = _started(max(settings.streams or 1, resources.usable_cores()))
        self._running = 0  # inferences that are running
        self._decoded: deque[Waiting[Any]] = deque()
        self._decoding = 0  # number of photos that are being decoded
        self._changed = Condition()
        self._met = -inf  # last time that two photos were in the queue

    @property
    def seconds_to_drain(self) -> int:
        """Estimated time to answer the photos in the queue, in whole seconds, at least one."""
        return max(1, ceil(self.admission.taken * self.measurements.seconds_each))

    async def infer(
        self, engine: Engine, photo: Picture, then: Callable[[Output], Answer], watch: Watch | None = None
    ) -> Answer:
        """Infer one photo and return `then(output)`, which runs on a thread, and so does `watch`; ImageError, Expired.

        If it is cancelled or reaches its deadline, the photo is dropped, unless its inference has begun.
        """
        waiting: Waiting[Answer] = Waiting(engine, then, asyncio.get_running_loop().create_future(), watch=watch)
        record_photo(waiting.moments)
        if isinstance(photo, bytes):
            with self._changed:
                self._decoding += 1
            self._decoders.submit(photo, partial(self._decode, waiting, photo))
        else:
            waiting.pixels = photo
            self._line_up(waiting)
        try:
            async with asyncio.timeout(self._settings.deadline_seconds):
                return await waiting.answer
        except TimeoutError:
            self.measurements.expired.inc()
            raise Expired(self._settings.deadline_seconds) from None
        except asyncio.CancelledError:
            self.measurements.abandoned.inc()
            raise
        finally:
            waiting.forget()

    def close(self) -> None:
        """End the threads after their current work; photos that still wait are dropped."""
        self._decoders.close()
        self._runners.shutdown(wait=False, cancel_futures=True)

    def _decode(self, waiting: Waiting[Any], photo: bytes) -> None:
        try:
            if waiting.is_wanted:
                waiting.moments.decoding = perf_counter()
                waiting.pixels = images.decode(photo)
                waiting.moments.decoded = perf_counter()
                self.measurements.decoded(waiting.moments)
        except Exception as error:  # any error: it concerns this photo only
            waiting.fail(error)
        self._line_up(waiting, decoded=1)

    def _line_up(self, waiting: Waiting[Any], decoded: int = 0) -> None:
        """Queue the photo for its engine, if there are pixels to infer."""
        with self._changed:
            self._decoding -= decoded
            if waiting.pixels is not None:
                self._decoded.append(waiting)
            self._changed.notify()
        if waiting.pixels is not None:
            self._runners.submit(self._run)

    def _run(self) -> None:
        """Infer batches until no photo waits or the engine has no free stream."""
        while batch := self._take():
            try:
                outputs = self._infer(batch)
            finally:
                with self._changed:
                    self._running -= 1
            if len(outputs) > 1:  # making several answers takes a while, during which the engine needn't idle
                self._runners.submit(self._run)
            for waiting, output in outputs:
                waiting.finish(output)

    def _take(self) -> list[Waiting[Any]]:
        """The next batch for one engine, up to its limit; empty if it has no free stream."""
        batch: list[Waiting[Any]] = []
        with self._changed:
            self._fill(batch)
            if not batch:
                return batch
            self._running += 1
            until = perf_counter() + self._settings.max_delay_milliseconds / 1000
            while self._decoding and not self._decoded and len(batch) < self._limit(batch[0]):
                if not self._changed.wait(until - perf_counter()):
                    break
                self._fill(batch)
            return batch

    def _fill(self, batch: list[Waiting[Any]]) -> None:
        """Move photos that are still wanted into the batch, until one is for another engine or it is full."""
        while self._decoded:
            first = self._decoded[0]
            if first.is_wanted:
                if not batch and self._running >= first.engine.streams:
                    return
                if batch and (first.engine is not batch[0].engine or len(batch) >= self._limit(first)):
                    return
                batch.append(first)
            self._decoded.popleft()

    def _is_calm(self, now: float) -> bool:
        """Whether a photo may use every core: another that arrived during it would wait, or slow it down."""
        if self.admission.taken > 1:
            self._met = now
        return now - self._met > CALM_SECONDS

    def _limit(self, waiting: Waiting[Any]) -> int:
        return min(waiting.engine.largest_batch, self._settings.max_batch_size)

    def _infer(self, batch: list[Waiting[Any]]) -> list[tuple[Waiting[Any], Output]]:
        """The output for each photo that is still wanted; if the batch fails, each photo is inferred by itself."""
        batch = [each for each in batch if each.is_wanted]
        if not batch:
            return []
        began = perf_counter()
        try:
            pixels = np.stack([each.pixels for each in batch if each.pixels is not None])
            output = batch[0].engine.infer(pixels, shared=not self._is_calm(began))
        except Exception as error:
            if len(batch) == 1:
                batch[0].fail(error)
                return []
            logger.warning("%d photos can't be inferred together and are inferred one by one: %r", len(batch), error)
            return [outcome for each in batch for outcome in self._infer([each])]
        ended = perf_counter()
        for each in batch:
            each.moments.end(began, ended, len(batch))
        self.measurements.inferred([each.moments for each in batch])
        return [(each, Output(*(part[place : place + 1] for part in output))) for place, each in enumerate(batch)]


def _started(threads: int) -> ThreadPoolExecutor:
    """A pool whose threads are all running: started later, by a decoding thread, they would inherit its priority."""
    pool, all_there = ThreadPoolExecutor(threads, "inference"), Barrier(threads)
    for _ in range(threads):
        pool.submit(all_there.wait)
    return pool
