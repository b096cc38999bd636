"""Records the timing and outcome of each request for metrics, logs and traces."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple
from uuid import UUID

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"  # a method that HTTP doesn't have, an address that the service doesn't have: clients make up any number


class Part(NamedTuple):
    """A part of the way, and when it began and ended."""

    name: str  # read, decode, queue or infer
    began: float
    ended: float


@dataclass(eq=False, slots=True)
class PhotoTimes:
    """When what happened to one photo; 0.0 is what hasn't. Written by the threads that do it."""

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
        """For a decoder, and then for the engine."""
        return self.inferring - self.arrived - self.decode_seconds

    @property
    def infer_seconds(self) -> float:
        """With the rest of the batch."""
        return self.inferred - self.inferring

    def end(self, inferring: float, inferred: float, batch_size: int) -> None:
        """It was inferred from then to then, together with so many in all."""
        self.inferring, self.batch_size, self.inferred = inferring, batch_size, inferred

    def parts(self) -> Iterator[Part]:
        """Those that have ended."""
        if self.decoded:
            yield Part("queue", self.arrived, self.decoding)
            yield Part("decode", self.decoding, self.decoded)
        if self.inferred:
            yield Part("queue", self.decoded or self.arrived, self.inferring)
            yield Part("infer", self.inferring, self.inferred)


@dataclass(eq=False, slots=True)
class RequestRecord:
    """A request and its answer. PhotoTimes are seconds on the clock of `perf_counter`; 0.0 is one that hasn't come."""

    scope: Scope
    began: float = field(default_factory=perf_counter)
    received: float = 0.0  # the newest part of its body
    answered: float = 0.0  # the head of its answer
    ended: float = 0.0
    status: int = 500  # which the server answers where the app doesn't
    version: int | None = None  # of the model, that answered
    problems: list[str] = field(default_factory=list)  # names of their kinds
    photos: list[PhotoTimes] = field(default_factory=list)

    @property
    def id(self) -> str:
        found: str = self.scope["state"]["id"]
        return found

    @property
    def method(self) -> str:
        """One of few, whatever was sent."""
        return self.scope["method"] if self.scope["method"] in METHODS else OTHER

    @property
    def route(self) -> str:
        """The template of its address, as `/models/{version}`: one of few, and nothing that a client made up."""
        return getattr(self.scope.get("route"), "path_format", OTHER)

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def service_seconds(self) -> float:
        """From what the client sent last to the head of the answer: what the service itself took."""
        return (self.answered or self.ended) - (self.received or self.began)

    def parts(self) -> Iterator[Part]:
        """Those of a request with photos, in their order; each photo of a batch has its own."""
        if self.photos and self.received:
            yield Part("read", self.began, self.received)
        for photo in self.photos:
            yield from photo.parts()


_current: ContextVar[RequestRecord | None] = ContextVar("exchange", default=None)


def current() -> RequestRecord | None:
    """The one that this task, or the thread that it started, works for."""
    return _current.get()


def record_photo(moments: PhotoTimes) -> None:
    """A photo of this exchange is on its way."""
    if exchange := _current.get():
        exchange.photos.append(moments)


def record_version(version: int) -> None:
    """That version of the model answered it."""
    if exchange := _current.get():
        exchange.version = version


def record_problem(name: str) -> None:
    """It, or a photo of it, has no answer because of a problem of that kind."""
    if exchange := _current.get():
        exchange.problems.append(name)


class RequestRecorder:
    """ASGI middleware that notes each exchange and tells the listeners, on the event loop; RequestId is around it."""

    def __init__(self, app: ASGIApp, listeners: Sequence[Callable[[RequestRecord], None]]) -> None:
        self.app = app
        self._listeners = listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        exchange = RequestRecord(scope)
        _current.set(exchange)  # the server runs each request in a task of its own

        async def note_received() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                exchange.received = perf_counter()
            return message

        async def note_answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.answered, exchange.status = perf_counter(), message["status"]
            await send(message)

        try:
            return await self.app(scope, note_received, note_answered)
        finally:
            exchange.ended = perf_counter()
            for tell in self._listeners:
                tell(exchange)


class RequestId:
    """ASGI middleware that gives each request an id, as `request.state.id`, and sends it back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request_id = str(UUID(int=random.getrandbits(128), version=4))  # no secret; 50 us quicker than one
        scope.setdefault("state", {})["id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        return await self.app(scope, receive, send_with_id)
