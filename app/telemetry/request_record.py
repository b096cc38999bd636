"""Gives each request an id, and records its timing and outcome for metrics, logs and traces."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ID_HEADER = "X-Request-ID"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"  # any unknown method or address, of which clients can send any number


class Part(NamedTuple):
    """A phase of a request, and when it began and ended."""

    name: str  # read, decode, queue or infer
    began: float
    ended: float


@dataclass(eq=False, slots=True)
class PhotoTimes:
    """Times of the steps of one photo; 0.0 for one that hasn't happened. Written by the threads that do them."""

    arrived: float = field(default_factory=perf_counter)
    decoding: float = 0.0
    decoded: float = 0.0
    inferring: float = 0.0
    inferred: float = 0.0
    batch_size: int = 0

    @property
    def decode_seconds(self) -> float:
        return self.decoded - self.decoding

    @property
    def queue_seconds(self) -> float:
        """Wait for a decoder and then for the engine."""
        return self.inferring - self.arrived - self.decode_seconds

    @property
    def infer_seconds(self) -> float:
        """Inference of the whole batch."""
        return self.inferred - self.inferring

    def end(self, inferring: float, inferred: float, batch_size: int) -> None:
        """Record the start and the end of its inference, and the size of its batch."""
        self.inferring, self.batch_size, self.inferred = inferring, batch_size, inferred

    def parts(self) -> Iterator[Part]:
        """The phases that have ended."""
        if self.decoded:
            yield Part("queue", self.arrived, self.decoding)
            yield Part("decode", self.decoding, self.decoded)
        if self.inferred:
            yield Part("queue", self.decoded or self.arrived, self.inferring)
            yield Part("infer", self.inferring, self.inferred)


@dataclass(eq=False, slots=True)
class RequestRecord:
    """A request and its answer. Times are seconds of `perf_counter`; 0.0 for one that hasn't come."""

    scope: "Scope"
    began: float = field(default_factory=perf_counter)
    received: float = 0.0  # the last received part of its body
    answered: float = 0.0  # when the head of its answer was sent
    ended: float = 0.0
    status: int = 500  # the server's answer if the app sends none
    version: int | None = None  # of the model that answered
    problems: list[str] = field(default_factory=list)  # names of their kinds
    photos: list[PhotoTimes] = field(default_factory=list)

    @property
    def id(self) -> str:
        found: str = self.scope["state"]["id"]
        return found

    @property
    def method(self) -> str:
        """Its HTTP method, or OTHER for an unknown one, so that there are few values."""
        return self.scope["method"] if self.scope["method"] in METHODS else OTHER

    @property
    def route(self) -> str:
        """The template of its address, such as `/models/{version}`, or OTHER, so that there are few values."""
        return getattr(self.scope.get("route"), "path_format", OTHER)

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def service_seconds(self) -> float:
        """Time of the service itself: from the last part that the client sent to the head of the answer."""
        return (self.answered or self.ended) - (self.received or self.began)

    def parts(self) -> Iterator[Part]:
        """The phases of a request with photos, in order; each photo of a batch has its own."""
        if self.photos and self.received:
            yield Part("read", self.began, self.received)
        for photo in self.photos:
            yield from photo.parts()


_current: ContextVar[RequestRecord | None] = ContextVar("exchange", default=None)


def current() -> RequestRecord | None:
    """The record of the request that this task, or the thread that it started, works for."""
    return _current.get()


def record_photo(moments: PhotoTimes) -> None:
    """Add a photo to the current request."""
    if exchange := _current.get():
        exchange.photos.append(moments)


def record_version(version: int) -> None:
    """Record the version that answers the current request."""
    if exchange := _current.get():
        exchange.version = version


def record_problem(name: str) -> None:
    """Record that the current request, or a photo of it, failed with a problem of this kind."""
    if exchange := _current.get():
        exchange.problems.append(name)


class RequestId:
    """ASGI middleware that gives each request an id, as `request.state.id`, and sends it in the answer.

    It also sends the headers in `request.state.headers`, which dependencies set for any answer.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self.app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request_id = str(UUID(int=random.getrandbits(128), version=4))  # not a secret; 50 us faster than uuid4
        scope.setdefault("state", {})["id"] = request_id

        async def send_with_id(message: "Message") -> None:
            if message["type"] == "http.response.start":
                from starlette.datastructures import MutableHeaders  # not by programs that only record times

                headers = MutableHeaders(scope=message)
                headers[ID_HEADER] = request_id
                headers.update(scope["state"].get("headers", {}))
            await send(message)

        return await self.app(scope, receive, send_with_id)


class RequestRecorder:
    """ASGI middleware that records each request and calls the listeners on the event loop. RequestId wraps it."""

    def __init__(self, app: "ASGIApp", listeners: Sequence[Callable[[RequestRecord], None]]) -> None:
        self.app = app
        self._listeners = listeners

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        exchange = RequestRecord(scope)
        _current.set(exchange)  # the server runs each request in a task of its own

        async def note_received() -> "Message":
            message = await receive()
            if message["type"] == "http.request":
                exchange.received = perf_counter()
            return message

        async def note_answered(message: "Message") -> None:
            if message["type"] == "http.response.start":
                exchange.answered, exchange.status = perf_counter(), message["status"]
            await send(message)

        try:
            return await self.app(scope, note_received, note_answered)
        finally:
            exchange.ended = perf_counter()
            for tell in self._listeners:
                tell(exchange)
