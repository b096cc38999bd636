"""Opens the port before the slow imports, so that early requests wait instead of failing."""

import socket

from app.origins import is_loopback
from app.settings import Settings


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """An open socket, and the settings with the port that it really got; OSError where the address can't be had.

    Of a name with several addresses it is the first, an IPv4 address before others. `::` takes IPv4 as well where the
    system can.
    """
    found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)  # the first of the least
    both = address[0] == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server(address, family=family, dualstack_ipv6=both)
    return listener, settings.model_copy(update={"port": listener.getsockname()[1]})


def warnings(settings: Settings, listener: socket.socket) -> list[str]:
    """What to say about who can reach the service."""
    if settings.predict_key is not None or is_loopback(listener.getsockname()[0]):
        return []
    return [
        f"{settings.address} is reached from other machines and CATDOG_PREDICT_KEY isn't set: anyone there may ask for"
        " predictions and see which models there are; set it, or listen on 127.0.0.1"
    ]
