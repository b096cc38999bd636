"""Turns this process into the supervisor of several, in a program of its own that needs less memory."""

import os
import sys
from socket import socket
from typing import Final, NoReturn

from app.settings import Settings
from catdog.system import resources

CORES_EACH: Final = 4  # of a process, by `auto`


def count(settings: Settings) -> int:
    """The number of processes that the settings ask for on this machine."""
    if settings.processes != "auto":
        return settings.processes
    return 1 if settings.engine == "keras" else max(1, resources.usable_cores() // CORES_EACH)


def supervise(settings: Settings, listener: socket, processes: int) -> NoReturn:
    """Replace this program by the supervisor, which inherits the open socket."""
    os.set_inheritable(listener.fileno(), True)
    options = {
        "listener": listener.fileno(),
        "processes": processes,
        "end-seconds": settings.leave_seconds + settings.drain_seconds,
        "log-format": settings.log_format,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    os.execv(sys.executable, [sys.executable, "-m", "app.processes", *words])  # noqa: S606  # our own program
