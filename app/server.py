"""The HTTP server around the app."""

import asyncio
import socket
from time import monotonic
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.predictor import Predictor
from app.retraining import Retraining
from app.settings import Settings

LOOK_SECONDS = 0.05  # between two looks whether it shall end at once
HEAD_BYTES = 64 * 1024  # of one request: its line and headers


class Server(uvicorn.Server):
    """Says that it is about to end, to those who ask whether it is ready and to those who stream for long.

    It goes on for a moment then, `leave_seconds`: who is sent here meanwhile, by someone who hasn't heard, is answered.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, leave_seconds: float) -> None:
        super().__init__(config)
        self._retraining: Retraining = app.state.retraining
        self._predictor: Predictor = app.state.predictor
        self._leave_seconds = leave_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._retraining.is_leaving = self._predictor.is_leaving = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        until = monotonic() + self._leave_seconds
        while self._predictor.is_leaving and not self.force_exit and monotonic() < until:  # a second Ctrl-C is obeyed
            await asyncio.sleep(LOOK_SECONDS)
        await super().shutdown(sockets)


def server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """One worker: another would hold the network a second time, and the first already uses every core."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        http="h11",  # httptools takes a request head of any size into memory, and loses the body of an `Upgrade`
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="none",
        log_config=None,
        log_level="error",  # its warnings are of what single clients did
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    return Server(config, app, settings.leave_seconds)
