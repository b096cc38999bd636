"""A refusal reaches a client that is still sending.

Closing a connection with unread bytes on it makes TCP reset it, and many clients then never see the answer.
So an answer given early is sent at once, and what still comes is read and dropped for a while.
"""

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_BYTES = 64 * 2**20
LINGER_SECONDS = 5.0  # as nginx's lingering_timeout


class Linger:
    """ASGI middleware that reads the rest of a body which the app answered without having read it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        coming = _has_body(scope)

        async def watch() -> Message:
            nonlocal coming
            message = await receive()
            coming = bool(message.get("more_body"))
            return message

        async def answer(message: Message) -> None:
            if coming and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            if not coming or message.get("more_body") or message["type"] == "http.response.start":
                return await send(message)
            await send({**message, "more_body": True})
            await _drop(watch)
            return await send({"type": "http.response.body"})

        return await self.app(scope, watch, answer)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _drop(receive: Receive) -> None:
    left = LINGER_BYTES
    with anyio.move_on_after(LINGER_SECONDS):
        while left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            if not message.get("more_body"):
                return
