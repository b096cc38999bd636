"""Answers HEAD on every GET route, and finds the methods for the `Allow` header."""

import anyio
from fastapi import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """ASGI middleware that answers HEAD as GET, with the same status and headers and without the body.

    It ends the request once the headers are sent, so that an event stream stops. It wraps the router directly, so that
    the log and the metrics, outside it, see the method that was sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self.app(scope, receive, send)
        asked = {**scope, "method": "GET"}
        with anyio.CancelScope() as answering:

            async def send_head(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await send(message)
                    await send({"type": "http.response.body"})
                    answering.cancel()

            try:
                await self.app(asked, receive, send_head)
            finally:
                if "route" in asked:  # set by the router; the metrics count by route
                    scope["route"] = asked["route"]


def allowed(request: Request) -> str:
    """The methods of all routes of an address, for the header `Allow`."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))
