"""Cancels the work for a request when its client disconnects."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request

from app.errors import ClientGone

Answer = TypeVar("Answer")


async def unless_gone(request: Request, answer: Awaitable[Answer]) -> Answer:
    """Await the answer to a request whose body was read; if its client disconnects first, cancel it: ClientGone."""
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
        if not gone or answering is None or answering.uncancel():  # cancelled by the server, not by `watch`
            raise
        raise ClientGone from None
    finally:
        watching.cancel()
