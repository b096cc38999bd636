"""Command line of the service: `python -m app` serves, `python -m app doctor` checks the setup."""

import sys

from app import shutdown

TYPE_CHECKING = False  # typing's own would be one more import before signals are handled
if TYPE_CHECKING:
    from socket import socket

    from app.settings import Settings
    from app.web.server import Server


def main() -> None:
    """Run the command: serve, or check the setup."""
    from argparse import ArgumentParser

    from app.processes import assembly
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
    assembly.run(_examine if parser.parse_args().command == "doctor" else serve)


def _examine() -> int:
    from app import diagnostics
    from app.processes.assembly import WRONG_SETTINGS
    from app.settings import SettingsError, read_settings

    try:
        return diagnostics.main(read_settings())
    except SettingsError as error:
        sys.stderr.write(f"catdog: {error}\n")
        return WRONG_SETTINGS


def serve() -> None:
    """Serve until SIGTERM or Ctrl-C; accepted requests still finish, and the exit status is 0."""
    from app.processes import assembly

    assembly.serve(_prepared)


def _prepared() -> "tuple[Server, socket]":
    """The server and its open socket; with several processes, this one becomes their supervisor and never returns."""
    from app.processes import assembly, launch
    from app.settings import read_settings
    from app.telemetry import logs

    given = read_settings()
    logs.begin(given.log_format)
    listener, settings = _opened(given)
    if (processes := launch.count(settings)) > 1:
        launch.supervise(settings, listener, processes)
    return assembly.assembled(settings), listener


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


if __name__ == "__main__":
    shutdown.handle_signals(shutdown.exit_at_once)  # before the first slow import
    main()
