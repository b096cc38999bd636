"""The client for asynchronous code, on asyncio."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import httpx
from anyio import to_thread
from pydantic import BaseModel

from catdog.client import calls
from catdog.client.answers import Batch, Comparison, Job, Picture, Prediction, Row, Uploaded, Version
from catdog.client.blocking import Photo, content
from catdog.client.calls import Ask, Call, Pause, Reply
from catdog.client.errors import ClientError, Problem, Unreachable, error_of
from catdog.datasets.archive import Packed, packed

Answer = TypeVar("Answer", bound=BaseModel)
GROUP = 4  # times `parallel`: photos of `predict_many` whose answers are waited for together


class AsyncClient:
    """A service of catdog at `url`, as `Client` has it; `async with` closes its connections."""

    def __init__(
        self,
        url: str = calls.URL,
        key: str | None = None,
        timeout_seconds: float = calls.TIMEOUT_SECONDS,
        retry_seconds: float = calls.RETRY_SECONDS,
    ) -> None:
        self._http = httpx.AsyncClient(**calls.connection(url, key, timeout_seconds))
        self._url = url
        self._retry_seconds = retry_seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def predict(self, photo: Photo, unknown_keep: float | None = None) -> Prediction:
        """Classify a photo. `unknown_keep`, 0.5 to 1, is the share of photos of the classes that stay known."""
        data = await to_thread.run_sync(content, photo)
        return await self._run(calls.predict(data, unknown_keep, self._retry_seconds))

    async def predict_many(
        self, photos: Iterable[Photo], parallel: int = calls.PARALLEL
    ) -> AsyncIterator[Prediction | ClientError | OSError]:
        """Classify photos, `parallel` at a time; yields the answer or the error of each, in order.

        `photos` may be endless: at most `GROUP * parallel` are read ahead. Their answers are waited for together.
        """
        remaining, limit = iter(photos), anyio.CapacityLimiter(parallel)
        while group := list(islice(remaining, GROUP * parallel)):
            answers: dict[int, Prediction | ClientError | OSError] = {}

            async def answer(place: int, photo: Photo, answers: dict[int, Prediction | ClientError | OSError]) -> None:
                async with limit:
                    answers[place] = await self._try(photo)

            async with anyio.create_task_group() as tasks:
                for place, photo in enumerate(group):
                    tasks.start_soon(answer, place, photo, answers)
            for place in range(len(group)):
                yield answers[place]

    async def upload_folder(self, folder: str | PathLike[str], dataset: str) -> Uploaded:
        """Add the photos of a folder of class folders to a data set."""
        async with _packed(Path(folder)) as archive:
            return await self._run(calls.upload(dataset, archive, self._retry_seconds))

    async def retrain(self, dataset: str, **options: Any) -> Job:
        """Queue a training; `options` are those of `POST /retrain`, such as `strategy="finetune"`."""
        return await self._run(calls.retrain(dataset, options, self._retry_seconds))

    async def job(self, id: str = "latest") -> Job:
        """A training, by default the newest."""
        return await self._run(calls.job(id, self._retry_seconds))

    async def cancel(self, id: str) -> Job:
        """Cancel a training."""
        return await self._run(calls.cancel(id, self._retry_seconds))

    async def follow(self, id: str = "latest") -> AsyncIterator[Job]:
        """The training after each event, until it has ended and the service serves a version that it promoted."""
        found = await self.job(id)
        yield found
        while not found.status.is_final:
            try:
                async with self._http.stream("GET", f"/retrain/{found.id}/events", timeout=calls.EVENTS) as events:
                    async for line in events.aiter_lines():
                        if line.startswith("event:"):
                            found = await self.job(found.id)
                            yield found
            except httpx.TransportError:  # the stream was cut off; `job` raises if the service has gone
                found = await self.job(found.id)

    async def start_batch(self, photos: str | PathLike[str]) -> Batch:
        """Classify the photos of a folder or of a ZIP in the background."""
        async with _packed(Path(photos)) as archive:
            return await self._run(calls.start_batch(archive, self._retry_seconds))

    async def start_batch_of_dataset(self, dataset: str) -> Batch:
        """Classify the pictures of a data set in the background."""
        return await self._run(calls.start_batch_of_dataset(dataset, self._retry_seconds))

    async def batch(self, id: str = "latest") -> Batch:
        """A batch, by default the newest."""
        return await self._run(calls.batch(id, self._retry_seconds))

    async def cancel_batch(self, id: str) -> Batch:
        """Cancel a batch."""
        return await self._run(calls.cancel_batch(id, self._retry_seconds))

    async def follow_batch(self, id: str = "latest") -> AsyncIterator[Batch]:
        """The batch, twice a second until it has ended."""
        found = await self.batch(id)
        yield found
        while not found.status.is_final:
            await anyio.sleep(calls.POLL_SECONDS)
            found = await self.batch(found.id)
            yield found

    async def rows(self, id: str = "latest") -> AsyncIterator[Row]:
        """The rows of a batch that has succeeded, as they arrive; else Conflict."""
        try:
            async with self._http.stream("GET", f"/batches/{(await self.batch(id)).id}/result?format=jsonl") as reply:
                if not reply.is_success:
                    await reply.aread()
                    raise error_of(Problem.of(reply))
                async for line in reply.aiter_lines():
                    yield Row.model_validate_json(line)
        except httpx.TransportError as error:
            raise calls.unreachable(self._url, error) from error

    async def compare(self, first: int, second: int, dataset: str, split: str = "test") -> Comparison:
        """Queue a comparison of two versions on the photos of a data set that are new to both."""
        return await self._run(calls.compare(first, second, dataset, split, self._retry_seconds))

    async def comparison(self, id: str = "latest") -> Comparison:
        """A comparison, by default the newest."""
        return await self._run(calls.comparison(id, self._retry_seconds))

    async def cancel_comparison(self, id: str) -> Comparison:
        """Cancel a comparison."""
        return await self._run(calls.cancel_comparison(id, self._retry_seconds))

    async def follow_comparison(self, id: str = "latest") -> AsyncIterator[Comparison]:
        """The comparison, twice a second until it has ended."""
        found = await self.comparison(id)
        yield found
        while not found.status.is_final:
            await anyio.sleep(calls.POLL_SECONDS)
            found = await self.comparison(found.id)
            yield found

    async def champion(self) -> Version:
        """The version in service."""
        return await self._run(calls.champion(self._retry_seconds))

    async def promote(self, version: int) -> Version:
        """Put a version into service."""
        return await self._run(calls.promote(version, self._retry_seconds))

    async def roll_back(self) -> Version:
        """Put the previous champion back into service."""
        return await self._run(calls.roll_back(self._retry_seconds))

    async def feedback(self, prediction_id: str, label: str, dataset: str | None = None) -> Picture:
        """Set the right label of a predicted photo, which becomes a training picture."""
        return await self._run(calls.feedback(prediction_id, label, dataset, self._retry_seconds))

    async def _try(self, photo: Photo) -> Prediction | ClientError | OSError:
        try:
            return await self.predict(photo)
        except (ClientError, OSError) as error:
            return error

    async def _run(self, call: Call[Answer]) -> Answer:
        reply: Reply = None
        try:
            while True:
                step = call.send(reply)
                if isinstance(step, Pause):
                    await anyio.sleep(step.seconds)
                    reply = None
                else:
                    reply = await self._ask(step)
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    async def _ask(self, ask: Ask) -> httpx.Response | Unreachable:
        try:
            return await self._http.request(
                ask.method,
                ask.path,
                content=_read(ask.content) if callable(ask.content) else ask.content,
                json=ask.json,
                headers=dict(ask.headers),
                params=dict(ask.query),
            )
        except httpx.HTTPError as error:
            return calls.unreachable(self._url, error)


@asynccontextmanager
async def _packed(folder: Path) -> AsyncIterator[Packed]:
    """`packed`, on a thread."""
    packing = packed(folder)
    archive = await to_thread.run_sync(packing.__enter__)
    try:
        yield archive
    finally:
        packing.__exit__(None, None, None)


async def _read(content: Callable[[], Iterator[bytes]]) -> AsyncIterator[bytes]:
    """The chunks, read on a thread."""
    chunks = content()
    while chunk := await to_thread.run_sync(next, chunks, b""):
        yield chunk
