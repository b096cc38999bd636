"""A process's link to its supervisor: answers its pings, and ends the process if it has died."""

import asyncio
import os
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import TYPE_CHECKING, Final

from app.processes.member import PONG, STARTED

if TYPE_CHECKING:
    from app.web.server import Server

MARGIN_SECONDS: Final = 15.0  # in addition to the time for accepted requests


class Supervision:
    """The supervisor, as one of its processes sees it; `channel` is the file descriptor of their socket."""

    def __init__(self, channel: int, shared: Path) -> None:
        self.folder = shared
        self._channel = socket.socket(fileno=channel)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end_seconds = MARGIN_SECONDS
        Thread(target=self._listen, name="supervision", daemon=True).start()

    def limit_end(self, drain_seconds: float) -> None:
        """Set how long the process may take to end after its supervisor has died."""
        self._end_seconds = drain_seconds + MARGIN_SECONDS

    def attach(self, server: "Server") -> None:
        """Report when the server has started, and let SIGHUP end it alone."""

        def end_alone(number: int, frame: FrameType | None) -> None:
            server.end_alone()

        def started() -> None:
            self._loop = asyncio.get_running_loop()
            self._say(STARTED)

        signal.signal(signal.SIGHUP, end_alone)
        server.when_started = started

    def _say(self, word: bytes) -> None:
        with suppress(OSError):  # the supervisor has died, which `_listen` notices
            self._channel.send(word)

    def _listen(self) -> None:
        """Answer pings, from the event loop once there is one; then end the process."""
        with suppress(OSError):
            while self._channel.recv(1024):
                if self._loop is None:
                    self._say(PONG)
                else:
                    with suppress(RuntimeError):  # the loop is closed: the process is about to end
                        self._loop.call_soon_threadsafe(self._say, PONG)
        os.kill(os.getpid(), signal.SIGHUP)
        shutil.rmtree(self.folder, ignore_errors=True)  # for a supervisor that was killed
        Event().wait(self._end_seconds)
        os._exit(1)
