"""The port, open before anything else is there: what comes meanwhile waits for its answer."""

import socket

from app.settings import Settings


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """An open socket, and the settings with the port that it really got; OSError where the address can't be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.create_server((settings.host, settings.port), family=family)
    return listener, settings.model_copy(update={"port": listener.getsockname()[1]})
