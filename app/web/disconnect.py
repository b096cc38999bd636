"""Cancels the work for a request when its client disconnects."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request

from app.errors import ClientGone

Answer = TypeVar("Answer")


async def unless_gone(request: Request, answer: Awaitable[Answer]) -> Answer:
    """The answer to a request whose body was read; ClientGone, and `answer` cancelled, if its client leaves first."""
    answering = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        if answering is not None:
            answering.cancel()

    watching = asyncio.create_task(watch())
    try:
        return await answer
    except asyncio.CancelledError:
        if not gone or answering is None or answering.uncancel():  # the server's own wish, then, to end this
            raise
        raise ClientGone from None
    finally:
        watching.cancel()
