"""The calls of the client without input or output, so that `Client` and `AsyncClient` share them.

A call is a generator. It yields requests and pauses, receives replies, and returns the answer.
"""

import random
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from catdog.client.answers import Batch, Comparison, Job, Picture, Prediction, Uploaded, Version
from catdog.client.errors import ClientError, Problem, Unreachable, error_of
from catdog.datasets.archive import Packed

URL: Final = "http://127.0.0.1:8000"
TIMEOUT_SECONDS: Final = 60.0  # without a byte in either direction; longer than CATDOG_DEADLINE_SECONDS
PARALLEL: Final = 8
EVENTS: Final = httpx.Timeout(60.0)  # between two lines of a stream, which has a comment every few seconds
POLL_SECONDS: Final = 0.5  # between two questions about a batch or a comparison
OCTETS: Final = "application/octet-stream"
ZIP: Final = "application/zip"
RETRY_SECONDS: Final = 60.0  # in all, by default
RETRIED: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)  # if they say when
JITTER: Final = 0.5  # a pause is up to this share longer, so that clients don't all come back at once

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True)
class Ask:
    """A request. `content` is its body, or opens it each time that it is sent."""

    method: str
    path: str
    content: bytes | Callable[[], Iterator[bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str | float] = field(default_factory=dict)
    json: Any = None


@dataclass(frozen=True)
class Pause:
    """A wait before the next request."""

    seconds: float


Reply = httpx.Response | Unreachable | None  # None after a pause
Call = Generator[Ask | Pause, Reply, Answer]


def connection(url: str, key: str | None, timeout_seconds: float) -> dict[str, Any]:
    """Arguments of httpx's clients; ClientError if the address isn't one."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ClientError(f"{url} is no URL ({error}); write it like {URL}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ClientError(f"{url} is no URL of a service; write it like {URL}")
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return {"base_url": parsed, "headers": headers, "timeout": timeout_seconds}


def unreachable(url: str, error: httpx.HTTPError) -> Unreachable:
    """The error of the client for one of httpx."""
    return Unreachable(url, str(error) or type(error).__name__)


def predict(photo: bytes, unknown_keep: float | None, retry_seconds: float) -> Call[Prediction]:
    query = {} if unknown_keep is None else {"unknown_keep": unknown_keep}
    ask = Ask("POST", "/predict", photo, {"Content-Type": OCTETS}, query)
    return _answered(ask, Prediction, retry_seconds)


def upload(dataset: str, archive: Packed, retry_seconds: float) -> Call[Uploaded]:
    headers = {"Content-Type": ZIP, "Content-Length": str(archive.size_bytes)}
    return _answered(Ask("POST", f"/datasets/{dataset}/archive", archive.chunks, headers), Uploaded, retry_seconds)


def retrain(dataset: str, options: Mapping[str, Any], retry_seconds: float) -> Call[Job]:
    """A request that is sent again has the same key, so that it starts no second training."""
    headers = {"Idempotency-Key": uuid4().hex}
    return _answered(Ask("POST", "/retrain", headers=headers, json={"dataset": dataset, **options}), Job, retry_seconds)


def job(id: str, retry_seconds: float) -> Call[Job]:
    return _answered(Ask("GET", f"/retrain/{id}"), Job, retry_seconds)


def cancel(id: str, retry_seconds: float) -> Call[Job]:
    return _answered(Ask("DELETE", f"/retrain/{id}"), Job, retry_seconds)


def start_batch(archive: Packed, retry_seconds: float) -> Call[Batch]:
    headers = {"Content-Type": ZIP, "Content-Length": str(archive.size_bytes)}
    return _answered(Ask("POST", "/batches", archive.chunks, headers), Batch, retry_seconds)


def start_batch_of_dataset(dataset: str, retry_seconds: float) -> Call[Batch]:
    return _answered(Ask("POST", "/batches", json={"dataset": dataset}), Batch, retry_seconds)


def batch(id: str, retry_seconds: float) -> Call[Batch]:
    return _answered(Ask("GET", f"/batches/{id}"), Batch, retry_seconds)


def cancel_batch(id: str, retry_seconds: float) -> Call[Batch]:
    return _answered(Ask("DELETE", f"/batches/{id}"), Batch, retry_seconds)


def compare(first: int, second: int, dataset: str, split: str, retry_seconds: float) -> Call[Comparison]:
    asked = {"versions": [first, second], "dataset": dataset, "split": split}
    return _answered(Ask("POST", "/comparisons", json=asked), Comparison, retry_seconds)


def comparison(id: str, retry_seconds: float) -> Call[Comparison]:
    return _answered(Ask("GET", f"/comparisons/{id}"), Comparison, retry_seconds)


def cancel_comparison(id: str, retry_seconds: float) -> Call[Comparison]:
    return _answered(Ask("DELETE", f"/comparisons/{id}"), Comparison, retry_seconds)


def champion(retry_seconds: float) -> Call[Version]:
    return _answered(Ask("GET", "/model"), Version, retry_seconds)


def promote(version: int, retry_seconds: float) -> Call[Version]:
    return _answered(Ask("POST", f"/models/{version}/promote"), Version, retry_seconds)


def roll_back(retry_seconds: float) -> Call[Version]:
    return _answered(Ask("POST", "/rollback"), Version, retry_seconds)


def feedback(prediction_id: str, label: str, dataset: str | None, retry_seconds: float) -> Call[Picture]:
    said = {"prediction_id": prediction_id, "label": label}
    if dataset is not None:
        said["dataset"] = dataset
    return _answered(Ask("POST", "/feedback", json=said), Picture, retry_seconds)


def _answered(ask: Ask, answer: type[Answer], retry_seconds: float) -> Call[Answer]:
    """The answer. Waits and asks again, for at most `retry_seconds`, if the service asks for it."""
    left = retry_seconds
    while True:
        reply = yield ask
        if isinstance(reply, httpx.Response) and reply.is_success:
            return _read(reply, answer)
        pause = _pause_before_retry(reply)
        if pause is None or pause > left:
            raise _error(reply)
        left -= pause
        yield Pause(pause)


def _read(reply: httpx.Response, answer: type[Answer]) -> Answer:
    try:
        return answer.model_validate_json(reply.content)
    except ValidationError as error:
        raise ClientError(f"{reply.url} doesn't answer like a catdog; is its address right?") from error


def _error(reply: Reply) -> ClientError:
    return error_of(Problem.of(reply)) if isinstance(reply, httpx.Response) else reply or ClientError("no reply")


def _pause_before_retry(reply: Reply) -> float | None:
    """Seconds to wait, with jitter; None unless the service asks for another attempt."""
    if not isinstance(reply, httpx.Response) or reply.status_code not in RETRIED:
        return None
    seconds = _retry_after(reply)
    return None if seconds is None else seconds * random.uniform(1, 1 + JITTER)  # noqa: S311  # no secret


def _retry_after(reply: httpx.Response) -> float | None:
    """Seconds by the header `Retry-After`, which is a number or a date; None without it."""
    given = reply.headers.get("Retry-After", "")
    if given.isascii() and given.isdigit():
        return float(given)
    try:
        return max(0.0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
