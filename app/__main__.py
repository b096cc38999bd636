"""`python -m app` serves, with the settings of the environment."""

import errno
import logging
import os
import signal
import sys
from argparse import ArgumentParser
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from app import imports

if TYPE_CHECKING:
    from socket import socket

    from uvicorn import Server

    from app.settings import Settings

WRONG_SETTINGS = 2  # exit status, also where a library is missing
OURS = ("app", "catdog")


def main() -> None:
    """Serve, or say how one would."""
    parser = ArgumentParser("python -m app", description="Serves the champion, with the settings of the environment.")
    parser.add_argument(
        "command",
        nargs="?",
        choices=["serve", "doctor"],
        default="serve",
        help="serve (default), or doctor: say what would be run here, and why",
    )
    command = parser.parse_args().command
    try:
        if command == "doctor":
            sys.exit(_examine())
        serve()
    except ModuleNotFoundError as error:
        if (library := (error.name or "").partition(".")[0]) in OURS:
            raise
        sys.stderr.write(f"catdog: serving needs {library}, which isn't installed; run `make serve`\n")
        sys.exit(WRONG_SETTINGS)


def _examine() -> int:
    from app import doctor
    from app.settings import SettingsError, read_settings

    try:
        return doctor.main(read_settings())
    except SettingsError as error:
        sys.stderr.write(f"catdog: {error}\n")
        return WRONG_SETTINGS


def serve() -> None:
    """Serve until SIGTERM or Ctrl-C; accepted requests still finish, and the exit status is 0."""
    for number in (signal.SIGTERM, signal.SIGINT):  # the server drains first, then raises the signal again
        signal.signal(number, _leave)
    with imports.shortened():
        server, listener = _prepared()
    try:
        server.run(sockets=[listener])
    except SystemExit as end:  # of `_leave`
        _end(end.code)


def _prepared() -> tuple["Server", "socket"]:
    """Imports take most of a start: so the port is open before the longer ones, and the model is loaded beside them."""
    from app import logs
    from app.listening import listen
    from app.settings import SettingsError, read_settings

    try:
        given = read_settings()
        logs.begin(given.log_format)
        listener, settings = listen(given)
        return _assembled(settings), listener
    except SettingsError as error:
        sys.stderr.write(f"catdog can't start: {error}\n")
        sys.exit(WRONG_SETTINGS)
    except OSError as error:
        in_use = "; stop the program that has it, perhaps another catdog, or set CATDOG_PORT"
        sys.exit(f"catdog can't listen there: {error}{in_use if error.errno == errno.EADDRINUSE else ''}")


def _assembled(settings: "Settings") -> "Server":
    from app import engine_choice, memory

    memory.share_arenas()
    from app.succession import Succession

    settings = engine_choice.settled(settings)
    succession = Succession(settings)
    succession.begin()
    imports.unbuilt("fastapi.openapi.models")  # for whoever asks for the OpenAPI document
    from app.main import create_app
    from app.server import server

    return server(create_app(settings, succession), settings)


def _end(status: str | int | None) -> NoReturn:
    """End the process without waiting for its threads: one that decodes a costly photo would hold the exit up."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0)


def _leave(signal_number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
