"""The program of one process among several, started by the supervisor."""

import signal
import sys

from app import shutdown

TYPE_CHECKING = False  # typing's own would be one more import before signals are handled
if TYPE_CHECKING:
    from argparse import Namespace
    from socket import socket

    from app.processes.supervision import Supervision
    from app.web.server import Server


def main() -> None:
    """Serve at a place, with its share, until the supervisor says or has died."""
    from pathlib import Path

    from app.processes import assembly
    from app.processes.supervision import Supervision
    from catdog.system.failpoints import failpoint

    given = _given()
    failpoint(f"process.{given.place}.starts")
    supervision = Supervision(given.channel, Path(given.folder))
    assembly.run(lambda: assembly.serve(lambda: _prepared(given, supervision)))


def _given() -> "Namespace":
    from argparse import ArgumentParser

    parser = ArgumentParser("python -m app.processes.serving", description="Started by python -m app.")
    for name in ("place", "number", "processes", "listener", "channel"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--folder", required=True)
    return parser.parse_args()


def _prepared(given: "Namespace", supervision: "Supervision") -> "tuple[Server, socket]":
    from socket import socket

    from app.processes import assembly, shares
    from app.settings import read_settings
    from app.siblings import Siblings
    from app.telemetry import logs
    from catdog.system import resources

    listener = socket(fileno=given.listener)
    whole = read_settings().model_copy(update={"port": listener.getsockname()[1]})
    settings = shares.of(whole, given.place, given.processes)
    logs.begin(settings.log_format)
    if (cores := shares.cores_of(given.place, given.processes)) is not None:
        resources.confine(cores)
    supervision.limit_end(settings.drain_seconds)
    server = assembly.assembled(settings, Siblings(supervision.folder, given.number), whole)
    supervision.attach(server)
    return server, listener


if __name__ == "__main__":
    shutdown.handle_signals(shutdown.exit_at_once)  # before the first slow import
    signal.signal(signal.SIGHUP, shutdown.exit_at_once)
    main()
    sys.exit(0)
