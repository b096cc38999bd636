"""How many processes serve, and the program of their supervisor, which saves memory."""

import sys

from app import shutdown

TYPE_CHECKING = False  # typing's own would be one more import before signals are handled
if TYPE_CHECKING:
    from socket import socket
    from typing import NoReturn

    from app.settings import Settings


CORES_EACH = 4  # of a process, by `auto`


def count(settings: "Settings") -> int:
    """The number of processes that the settings ask for on this machine."""
    from catdog.system import resources

    if settings.processes != "auto":
        return settings.processes
    return 1 if settings.engine == "keras" else max(1, resources.usable_cores() // CORES_EACH)


def supervise(settings: "Settings", listener: "socket", processes: int) -> "NoReturn":
    """Replace this program by the supervisor, which inherits the open socket."""
    import os

    os.set_inheritable(listener.fileno(), True)
    options = {
        "listener": listener.fileno(),
        "processes": processes,
        "end-seconds": settings.leave_seconds + settings.drain_seconds,
        "log-format": settings.log_format,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    os.execv(sys.executable, [sys.executable, "-m", "app.processes.launch", *words])  # noqa: S606  # our own program


def main() -> int:
    """Supervise until all processes have ended; return the exit status."""
    from argparse import ArgumentParser
    from socket import socket

    from app.processes.supervisor import Supervisor, shared_folder
    from app.telemetry import logs

    parser = ArgumentParser("python -m app.processes.launch", description="Started by python -m app.")
    parser.add_argument("--listener", type=int, required=True)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--end-seconds", type=float, required=True)
    parser.add_argument("--log-format", required=True)
    given = parser.parse_args()
    logs.begin(given.log_format)
    with shared_folder() as shared:
        return Supervisor(socket(fileno=given.listener), given.processes, given.end_seconds, shared).run()


if __name__ == "__main__":
    shutdown.handle_signals(shutdown.exit_at_once)
    sys.exit(main())
