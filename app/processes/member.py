"""One process of the service, as its supervisor sees it."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

PING: Final = b"?"
PONG: Final = b"."
STARTED: Final = b"s"  # it accepts connections
NORMAL: Final = 0


class Member:
    """A process at a place, which stands for its cores; no other process that lives has its `number`.

    A pair of sockets connects both: the supervisor asks whether the process still works, and the process ends when its
    supervisor has died, because then the socket is closed.
    """

    def __init__(self, place: int, number: int, processes: int, listener: socket.socket, folder: Path) -> None:
        self.place = place
        self.number = number
        self.began = self.heard = monotonic()
        self.has_started = False
        self.retired_at: float | None = None
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        options = {
            "place": place,
            "number": number,
            "processes": processes,
            "listener": listener.fileno(),
            "channel": theirs.fileno(),
            "folder": folder,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with theirs:
            self._popen = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-m", "app.processes.serving", *words],
                stdin=subprocess.DEVNULL,
                pass_fds=(listener.fileno(), theirs.fileno()),
                process_group=0,  # a terminal's Ctrl-C reaches the supervisor alone, which passes it on
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    @property
    def end(self) -> str:
        """How it has ended, for the log."""
        code = self._popen.returncode
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    @property
    def status(self) -> int:
        """Its exit status once it has ended, negative for a signal."""
        return self._popen.returncode

    def ping(self) -> None:
        with suppress(OSError):  # it has ended, or doesn't read: both are noticed elsewhere
            self.channel.send(PING)

    def hear(self) -> bool:
        """Read what it says, nothing once it has ended; whether it has just started."""
        with suppress(OSError):
            if said := self.channel.recv(1024):
                self.heard = monotonic()
            if STARTED in said:
                self.has_started = True
                return True
        return False

    def retire(self) -> None:
        """Let it end alone: it accepts no more connections, and finishes its requests."""
        self.retired_at = monotonic()
        self.send(signal.SIGHUP)

    def send(self, number: int) -> None:
        if not self.has_ended:
            os.kill(self.pid, number)

    def close(self) -> None:
        self.channel.close()
