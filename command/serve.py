"""`catdog serve`: the service."""

from app import __main__ as service
from app import shutdown
from command import model_folder


def serve() -> None:
    """Serve until SIGTERM or Ctrl-C, with the settings from the environment: CATDOG_PORT=9000 catdog serve."""
    shutdown.handle_signals(shutdown.exit_at_once)
    service.run(_serve)


def _serve() -> None:
    model_folder.fill()
    service.serve()
