"""Admission limits: how many requests and body bytes the service accepts at a time.

They keep one client from using up what the others need. Each body has a deadline, `patient_until`, at most
GRACE_SECONDS ahead. Bytes that arrive extend it (Apache's mod_reqtimeout enforces a minimum rate in the same way); at
the deadline the upload is ended. If places or bytes run out, the unfinished bodies with the earliest deadlines are cut
off. So a stalled upload never keeps out one that makes progress.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from prometheus_client import Counter
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import Overloaded, TooSlow
from app.settings import Settings
from catdog.system import resources

GRACE_SECONDS = 20.0
OVERHEAD_BYTES = 256 * 1024  # memory of the server and the parsers for one body
ADMIN_SHARE = 8  # requests with the admin key may use an eighth more of everything
MEMORY_SHARE = 4  # by default bodies may use a quarter of the memory
LEAST_BATCHES = 2  # and at least the bytes of this many of the largest batches
RETRY_SECONDS = 1


class AdmissionLimit:
    """Limits how many places are in use at a time. Only for the event loop, so it needs no lock."""

    def __init__(self, limit: int, refusals: Counter | None = None) -> None:
        self.limit = limit
        self.taken = 0
        self.refused = 0  # since the start
        self._refusals = refusals

    @contextmanager
    def admitted(self, places: int = 1, retry_seconds: int = 1) -> Iterator[None]:
        """Hold `places` during the block; raise Overloaded, with `retry_seconds`, if fewer are free."""
        self.check(places, retry_seconds)
        self.taken += places
        try:
            yield
        finally:
            self.taken -= places

    def check(self, places: int = 1, retry_seconds: int = 1) -> None:
        """Raise Overloaded if fewer than `places` are free."""
        if self.taken + places > self.limit:
            self.refused += 1
            if self._refusals is not None:
                self._refusals.inc()
            raise Overloaded(retry_seconds)


class Body:
    """One request body: how much of it is in memory, and its deadline."""

    def __init__(self, bodies: "Bodies", seconds: float, is_admin: bool) -> None:
        self._clock = asyncio.get_running_loop().time
        self._bodies = bodies
        self._until = self._clock() + seconds
        self.is_admin = is_admin
        self.held_bytes = 0
        self.gave_way = False
        self.patient_until = min(self._clock() + GRACE_SECONDS, self._until)
        self.timeout = asyncio.timeout_at(self.patient_until)

    def arrived(self, count: int) -> None:
        """Record that `count` bytes were received; raise Overloaded if the upload was cut off."""
        self._check()
        now = self._clock()
        patience = max(now, self.patient_until) + count / self._bodies.least_bytes_per_second
        self.patient_until = min(patience, now + GRACE_SECONDS, self._until)
        if not self.timeout.expired():
            self.timeout.reschedule(self.patient_until)

    def hold(self, count: int) -> None:
        """Count `count` more bytes in memory until the request ends; raise Overloaded if there is no room for them."""
        self._check()
        self._bodies.make_room(self, count)
        self.held_bytes += count
        self._bodies.held_bytes += count

    def release(self) -> None:
        """Stop counting its bytes: they are no longer in memory."""
        self._bodies.held_bytes -= self.held_bytes
        self.held_bytes = 0

    def _check(self) -> None:
        """Raise Overloaded if the upload was cut off: bytes may arrive before its task is cancelled."""
        if self.gave_way:
            raise Overloaded(RETRY_SECONDS)

    def give_way(self) -> None:
        """Cut the upload off, so that another one has room."""
        self.gave_way = True
        self.release()
        if not self.timeout.expired():
            self.timeout.reschedule(self._clock())


class Bodies:
    """All request bodies, within limits. Only for the event loop, so it needs no lock."""

    def __init__(self, settings: Settings, refusals: Counter | None = None) -> None:
        self.limit = settings.max_uploads
        self._refusals = refusals
        self.limit_bytes = limit_bytes(settings)
        self.least_bytes_per_second = settings.min_upload_bytes_per_second
        self.refused = 0  # times that one was refused or others were cut off, since the start
        self.held_bytes = 0
        self._incomplete: set[Body] = set()

    @property
    def taken(self) -> int:
        """Number of bodies that are being received."""
        return len(self._incomplete)

    @asynccontextmanager
    async def receiving(self, request: Request, seconds: int, is_admin: bool) -> AsyncIterator[Body]:
        """Receive the body of a request inside the block; TooSlow, or Overloaded if there is no room for it.

        `Admission` releases its bytes when the request ends.
        """
        body = Body(self, seconds, is_admin)
        request.scope.setdefault("state", {})["body"] = body
        self.make_room(body, OVERHEAD_BYTES, places=1)
        self._incomplete.add(body)
        try:
            async with body.timeout:
                body.hold(OVERHEAD_BYTES)
                yield body
        except TimeoutError as error:
            if body.gave_way:
                raise Overloaded(RETRY_SECONDS) from error
            raise TooSlow(seconds, self.least_bytes_per_second) from error
        finally:
            self._incomplete.discard(body)

    def make_room(self, body: Body, count: int, places: int = 0) -> None:
        """Cut off the bodies with the earliest deadlines if that makes enough room for this one; else raise Overloaded.

        `count` is in bytes, `places` in bodies.
        """
        share = 1 + 1 / ADMIN_SHARE if body.is_admin else 1
        missing_bytes = self.held_bytes + count - self.limit_bytes * share
        missing_places = len(self._incomplete) + places - self.limit * share
        if missing_bytes <= 0 and missing_places <= 0:
            return
        giving_way = []
        for other in sorted(self._incomplete, key=lambda other: other.patient_until):
            if missing_bytes <= 0 and missing_places <= 0:
                break
            if other is not body and not other.is_admin:
                giving_way.append(other)
                missing_bytes -= other.held_bytes
                missing_places -= 1
        self.refused += 1
        if self._refusals is not None:
            self._refusals.inc()
        if missing_bytes > 0 or missing_places > 0:
            raise Overloaded(RETRY_SECONDS)
        for other in giving_way:
            self._incomplete.discard(other)
            other.give_way()


class Admission:
    """ASGI middleware that releases the bytes of a request's body once the request has ended."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            if body := scope.get("state", {}).pop("body", None):
                body.release()


def limit_bytes(settings: Settings) -> int:
    """Limit of request bodies in memory, in bytes: the setting, or a share of the memory that the process may use."""
    return settings.max_bodies_bytes or max(
        resources.usable_bytes() // MEMORY_SHARE, LEAST_BATCHES * settings.max_batch_bytes
    )
