"""Turns unhandled exceptions into problem responses."""

from asyncio import CancelledError

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import NotReady
from app.web import problem_details


class UnhandledErrors:
    """ASGI middleware that answers unexpected errors, and requests cut off by the shutdown, as problems."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        answering = False

        async def watch(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            return await self.app(scope, receive, watch)
        except Exception as error:
            if answering:
                raise
            await problem_details.respond(Request(scope), error)(scope, receive, send)
        except CancelledError:  # by the server, when the shutdown has timed out; it ends the task itself
            if not answering:
                await problem_details.respond(Request(scope), NotReady("the service is shutting down"))(
                    scope, receive, send
                )
