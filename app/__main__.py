"""Command line of the service: `python -m app` serves, `python -m app doctor` checks the setup."""

import sys

from app import shutdown

TYPE_CHECKING = False  # typing's own would be one more import before signals are handled
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from uvicorn import Server

    from app.settings import Settings

WRONG_SETTINGS = 2  # exit status; also if a library is missing


def main() -> None:
    """Run the command: serve, or check the setup."""
    from argparse import ArgumentParser

    from catdog import __version__

    parser = ArgumentParser("python -m app", description="Serve the champion, with the settings from the environment.")
    parser.add_argument(
        "command",
        nargs="?",
        choices=["serve", "doctor"],
        default="serve",
        help="serve (default), or doctor: check the setup; print what would be used here, and why",
    )
    parser.add_argument("--version", action="version", version=f"catdog {__version__}")
    run(_examine if parser.parse_args().command == "doctor" else serve)


def run(command: "Callable[[], int | None]") -> None:
    """Run a command; if a library is missing, one line says so, and what to do."""
    try:
        sys.exit(command())
    except ModuleNotFoundError as error:
        from catdog.faults import OURS

        if (library := (error.name or "").partition(".")[0]) in OURS:
            raise
        sys.stderr.write(f"catdog: serving needs {library}, which isn't installed; run `make serve`\n")
        sys.exit(WRONG_SETTINGS)


def _examine() -> int:
    from app import diagnostics
    from app.settings import SettingsError, read_settings

    try:
        return diagnostics.main(read_settings())
    except SettingsError as error:
        sys.stderr.write(f"catdog: {error}\n")
        return WRONG_SETTINGS


def serve() -> None:
    """Serve until SIGTERM or Ctrl-C; accepted requests still finish, and the exit status is 0."""
    from app import startup

    with startup.shortened():
        server, listener = _prepared()
    # uvicorn replaces this handler while it runs; when it has drained, it raises the signal again.
    shutdown.handle_signals(shutdown.raise_exit)
    try:
        server.run(sockets=[listener])
    except SystemExit as end:  # from `raise_exit`
        shutdown.exit_now(end.code)


def _prepared() -> "tuple[Server, socket]":
    """The server and its open socket.

    Imports take most of the start-up time. So the port opens before the slow ones, and the model loads while they run.
    """
    from app.settings import SettingsError, read_settings
    from app.telemetry import logs

    try:
        given = read_settings()
        logs.begin(given.log_format)
        listener, settings = _opened(given)
        return _assembled(settings), listener
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"catdog can't start: {error}\n")
        sys.exit(WRONG_SETTINGS)


def _opened(given: "Settings") -> "tuple[socket, Settings]":
    import errno

    from app import environment
    from app.telemetry import logs
    from app.web import connections

    try:
        listener, settings = connections.listen(given)
    except OSError as error:
        where = f"{variables}: " if (variables := environment.source_of_address()) else ""
        in_use = "; stop the program that uses it, perhaps another catdog, or set CATDOG_PORT"
        sys.exit(f"catdog can't listen: {where}{error}{in_use if error.errno == errno.EADDRINUSE else ''}")
    logs.warn(*environment.passed_over(), *connections.warnings(settings, listener))
    return listener, settings


def _assembled(settings: "Settings") -> "Server":
    from app.serving import engine_selection, os_tuning

    os_tuning.limit_arenas()
    from app.serving.loader import VersionLoader
    from catdog.versions.store import Store

    settings = engine_selection.settled(settings)
    loader = VersionLoader(Store(settings.models_dir), settings)
    loader.begin()  # before the other imports: the model loads in parallel
    from app.main import create_app
    from app.serving.hot_swap import HotSwap
    from app.web.server import server

    return server(create_app(settings, HotSwap(settings, loader)), settings)


if __name__ == "__main__":
    shutdown.handle_signals(shutdown.exit_at_once)  # before the first slow import
    main()
