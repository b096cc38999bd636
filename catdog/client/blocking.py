"""The client for ordinary code."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from catdog.client import calls
from catdog.client.answers import Batch, Comparison, Job, Picture, Prediction, Row, Uploaded, Version
from catdog.client.calls import Ask, Call, Pause, Reply
from catdog.client.errors import ClientError, Problem, Unreachable, error_of
from catdog.datasets.archive import packed

Answer = TypeVar("Answer", bound=BaseModel)
Photo = bytes | str | PathLike[str]  # encoded, or the path of a file


class Client:
    """A service of catdog at `url`. It may be used by several threads; `with` closes its connections.

    `key` is a named key, the predict key or the admin key. For `retry_seconds` in all, a call that the service answers
    with 503 or 429 and `Retry-After` is repeated. Every method raises a `ClientError`.
    """

    def __init__(
        self,
        url: str = calls.URL,
        key: str | None = None,
        timeout_seconds: float = calls.TIMEOUT_SECONDS,
        retry_seconds: float = calls.RETRY_SECONDS,
    ) -> None:
        self._http = httpx.Client(**calls.connection(url, key, timeout_seconds))
        self._url = url
        self._retry_seconds = retry_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def predict(self, photo: Photo, unknown_keep: float | None = None) -> Prediction:
        """Classify a photo. `unknown_keep`, 0.5 to 1, is the share of photos of the classes that stay known."""
        return self._run(calls.predict(content(photo), unknown_keep, self._retry_seconds))

    def predict_many(
        self, photos: Iterable[Photo], parallel: int = calls.PARALLEL
    ) -> Iterator[Prediction | ClientError | OSError]:
        """Classify photos, `parallel` at a time; yields the answer or the error of each, in order.

        `photos` may be endless: at most `2 * parallel` are read ahead.
        """
        waiting: deque[Future[Prediction | ClientError | OSError]] = deque()
        with ThreadPoolExecutor(parallel) as threads:
            for photo in photos:
                waiting.append(threads.submit(self._try, photo))
                if len(waiting) >= 2 * parallel:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def upload_folder(self, folder: str | PathLike[str], dataset: str) -> Uploaded:
        """Add the photos of a folder of class folders to a data set."""
        with packed(Path(folder)) as archive:
            return self._run(calls.upload(dataset, archive, self._retry_seconds))

    def retrain(self, dataset: str, **options: Any) -> Job:
        """Queue a training; `options` are those of `POST /retrain`, such as `strategy="finetune"`."""
        return self._run(calls.retrain(dataset, options, self._retry_seconds))

    def job(self, id: str = "latest") -> Job:
        """A training, by default the newest."""
        return self._run(calls.job(id, self._retry_seconds))

    def cancel(self, id: str) -> Job:
        """Cancel a training."""
        return self._run(calls.cancel(id, self._retry_seconds))

    def follow(self, id: str = "latest") -> Iterator[Job]:
        """The training after each event, until it has ended and the service serves a version that it promoted."""
        found = self.job(id)
        yield found
        while not found.status.is_final:
            try:
                with self._http.stream("GET", f"/retrain/{found.id}/events", timeout=calls.EVENTS) as events:
                    for line in events.iter_lines():
                        if line.startswith("event:"):
                            found = self.job(found.id)
                            yield found
            except httpx.TransportError:  # the stream was cut off; `job` raises if the service has gone
                found = self.job(found.id)

    def start_batch(self, photos: str | PathLike[str]) -> Batch:
        """Classify the photos of a folder or of a ZIP in the background."""
        with packed(Path(photos)) as archive:
            return self._run(calls.start_batch(archive, self._retry_seconds))

    def start_batch_of_dataset(self, dataset: str) -> Batch:
        """Classify the pictures of a data set in the background."""
        return self._run(calls.start_batch_of_dataset(dataset, self._retry_seconds))

    def batch(self, id: str = "latest") -> Batch:
        """A batch, by default the newest."""
        return self._run(calls.batch(id, self._retry_seconds))

    def cancel_batch(self, id: str) -> Batch:
        """Cancel a batch."""
        return self._run(calls.cancel_batch(id, self._retry_seconds))

    def follow_batch(self, id: str = "latest") -> Iterator[Batch]:
        """The batch, twice a second until it has ended."""
        found = self.batch(id)
        yield found
        while not found.status.is_final:
            sleep(calls.POLL_SECONDS)
            found = self.batch(found.id)
            yield found

    def rows(self, id: str = "latest") -> Iterator[Row]:
        """The rows of a batch that has succeeded, as they arrive; else Conflict."""
        try:
            with self._http.stream("GET", f"/batches/{self.batch(id).id}/result?format=jsonl") as reply:
                if not reply.is_success:
                    reply.read()
                    raise error_of(Problem.of(reply))
                for line in reply.iter_lines():
                    yield Row.model_validate_json(line)
        except httpx.TransportError as error:
            raise calls.unreachable(self._url, error) from error

    def compare(self, first: int, second: int, dataset: str, split: str = "test") -> Comparison:
        """Queue a comparison of two versions on the photos of a data set that are new to both."""
        return self._run(calls.compare(first, second, dataset, split, self._retry_seconds))

    def comparison(self, id: str = "latest") -> Comparison:
        """A comparison, by default the newest."""
        return self._run(calls.comparison(id, self._retry_seconds))

    def cancel_comparison(self, id: str) -> Comparison:
        """Cancel a comparison."""
        return self._run(calls.cancel_comparison(id, self._retry_seconds))

    def follow_comparison(self, id: str = "latest") -> Iterator[Comparison]:
        """The comparison, twice a second until it has ended."""
        found = self.comparison(id)
        yield found
        while not found.status.is_final:
            sleep(calls.POLL_SECONDS)
            found = self.comparison(found.id)
            yield found

    def champion(self) -> Version:
        """The version in service."""
        return self._run(calls.champion(self._retry_seconds))

    def promote(self, version: int) -> Version:
        """Put a version into service."""
        return self._run(calls.promote(version, self._retry_seconds))

    def roll_back(self) -> Version:
        """Put the previous champion back into service."""
        return self._run(calls.roll_back(self._retry_seconds))

    def feedback(self, prediction_id: str, label: str, dataset: str | None = None) -> Picture:
        """Set the right label of a predicted photo, which becomes a training picture."""
        return self._run(calls.feedback(prediction_id, label, dataset, self._retry_seconds))

    def _try(self, photo: Photo) -> Prediction | ClientError | OSError:
        try:
            return self.predict(photo)
        except (ClientError, OSError) as error:
            return error

    def _run(self, call: Call[Answer]) -> Answer:
        reply: Reply = None
        try:
            while True:
                step = call.send(reply)
                if isinstance(step, Pause):
                    sleep(step.seconds)
                    reply = None
                else:
                    reply = self._ask(step)
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    def _ask(self, ask: Ask) -> httpx.Response | Unreachable:
        try:
            return self._http.request(
                ask.method,
                ask.path,
                content=ask.content() if callable(ask.content) else ask.content,
                json=ask.json,
                headers=dict(ask.headers),
                params=dict(ask.query),
            )
        except httpx.HTTPError as error:
            return calls.unreachable(self._url, error)


def content(photo: Photo) -> bytes:
    """The bytes of a photo; OSError if its file can't be read."""
    return photo if isinstance(photo, bytes) else Path(photo).read_bytes()
