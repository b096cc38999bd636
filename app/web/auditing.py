"""Adds an entry to the audit log for every request to a route that writes.

`app.web.auth` begins a change as soon as it knows the key. Code that changes the database adds the entry in its own
transaction (`catdog.audit.log.record`). For everything else, and for requests that fail, the middleware adds it before
the answer is sent.
"""

import logging
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catdog.audit import change
from catdog.audit.change import Change

if TYPE_CHECKING:
    from catdog.audit.log import AuditLog

logger = logging.getLogger(__name__)

READING = ("GET", "HEAD", "OPTIONS")
# They store what the model says of pictures, or nothing.
ASKING = ("POST /datasets/{name}/looks", "POST /label-studio/setup", "POST /label-studio/predict")
FAILED = 400  # the lowest status of a failure
MOST_FAILED = 60  # entries of failed requests a minute, so that a client without a key can't fill the disk
MINUTE_SECONDS = 60.0


def begin(request: Request, key: str, key_id: str | None, fault: str) -> None:
    """Begin the change that the request may make; `fault` says what is wrong with its key."""
    route = request.scope["route"]
    action = f"{request.method} {route.path_format}"
    if request.method in READING or action in ASKING:
        return
    began = Change(
        action,
        key,
        key_id,
        request.client.host if request.client else "",
        request.state.id,
        route.status_code or 200,
        dict(request.path_params),
    )
    change.begin(began)
    if fault:
        change.note(fault=fault)
    request.state.change = began


class Auditing:
    """ASGI middleware that adds the entries which weren't added together with a change in the database."""

    def __init__(self, app: ASGIApp, log: "Callable[[], AuditLog]") -> None:
        self.app = app
        self._log = log
        self._threads = CapacityLimiter(1)
        self._failures = Failures()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READING:
            return await self.app(scope, receive, send)

        async def send_audited(message: Message) -> None:
            if message["type"] == "http.response.start" and (began := scope["state"].pop("change", None)):
                await self._add(began, message["status"])
            await send(message)

        return await self.app(scope, receive, send_audited)

    async def _add(self, ended: Change, status: int) -> None:
        """Add the entry unless the change has been recorded; one that fails can't undo the change, and is logged."""
        if status >= FAILED:
            if not self._failures.admit(ended):
                return
        elif ended.is_recorded:
            return
        ended.status = status
        try:
            await to_thread.run_sync(lambda: self._log().add(ended), limiter=self._threads)
        except Exception as error:  # any error: the change is made, so its answer must go out
            reason = getattr(error, "reason", error)
            logger.error("the audit log lacks an entry: %s", reason, extra={"facts": {"audit": _facts(ended)}})


class Failures:
    """Limits the entries of failed requests to MOST_FAILED a minute."""

    def __init__(self) -> None:
        self._minute = 0.0
        self._count = 0

    def admit(self, failed: Change) -> bool:
        """Whether to add its entry. The first one of a minute says how many were left out before."""
        now = monotonic()
        if now - self._minute >= MINUTE_SECONDS:
            if self._count > MOST_FAILED:
                failed.details["left_out"] = self._count - MOST_FAILED
            self._minute, self._count = now, 0
        self._count += 1
        return self._count <= MOST_FAILED


def _facts(lost: Change) -> dict[str, Any]:
    names = ("action", "key", "key_id", "address", "request", "status", "details")
    return {name: getattr(lost, name) for name in names}
