"""Configures and runs uvicorn."""

import asyncio
import socket
from collections.abc import Callable
from time import monotonic
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.settings import Settings
from app.shutdown import Shutdown, exit_now
from app.web import connections
from app.web.connections import BACKLOG, Connections
from app.web.http_protocol import ServerConfig

LOOK_SECONDS = 0.05  # between checks for a second signal
WAITING_CONNECTIONS = 2048  # queued in the kernel until they are accepted


class Server(uvicorn.Server):
    """Keeps serving for `leave_seconds` after a signal, so that requests that still arrive are answered.

    `when_started` is called once connections are accepted.
    """

    def __init__(self, config: uvicorn.Config, shutdown: Shutdown, leave_seconds: float) -> None:
        super().__init__(config)
        self.when_started: Callable[[], None] | None = None
        self._shutdown = shutdown
        self._leave_seconds = leave_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._shutdown.begin()
        super().handle_exit(sig, frame)

    def end_alone(self) -> None:
        """End without `leave_seconds`: other processes accept the connections."""
        self._shutdown.begin_alone()
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(WAITING_CONNECTIONS)  # asyncio uses its backlog for both, waiting and accepted at a time
        if self.when_started is not None:
            self.when_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        until = monotonic() + self._leave_seconds
        while (
            self._shutdown.ends_service and not self.force_exit and monotonic() < until
        ):  # a second signal forces exit
            await asyncio.sleep(LOOK_SECONDS)
        await super().shutdown(sockets)
        if self.force_exit:
            exit_now(0)  # uvicorn would leave the application running, whose end Python then logs as an error


def server(app: FastAPI, settings: Settings) -> Server:
    """The server of one process."""
    limit = settings.max_connections or connections.default_limit(connections.raise_open_file_limit())
    config = ServerConfig(
        app,
        connections=Connections(limit, settings.max_connections_per_address),
        shutdown=app.state.shutdown,
        head_seconds=settings.head_seconds,
        lifespan="on",
        backlog=BACKLOG,
        ws="none",
        log_config=None,
        log_level="error",  # its warnings are about single clients
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    return Server(config, app.state.shutdown, settings.leave_seconds)
