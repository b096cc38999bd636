"""Limits open connections; closes the idlest one for a new one.

A connection waits where nothing can be done but to wait for its client: for the head of a request, for the rest of a
body that was refused, for an answer to be read. Where all places are in use, the one that has waited longest is closed.
Those that have never been answered go first. So silent clients never keep out one that works, even where all come from
one address, as behind a proxy.
"""

import resource
import socket
import sys
from collections import Counter
from contextlib import suppress
from itertools import chain
from typing import Protocol

from app.setting_types import is_loopback
from app.settings import Settings

WANTED_FILES = 65_536  # more would only slow down what a child process closes

RESERVED_FILES = 400  # for the model store, pictures, the database, and connections that are just being accepted
BACKLOG = 128  # connections accepted at a time, so that few are over the limit for a moment
MOST = 1000
LEAST = 32


class Client(Protocol):
    """One connection, as it is seen here."""

    @property
    def host(self) -> str: ...

    def give_way(self) -> None:
        """Close it at once."""


class Connections:
    """All that are open; None limits nothing."""

    def __init__(self, limit: int, limit_per_address: int | None = None) -> None:
        self.limit = limit
        self.limit_per_address = limit_per_address
        self.gave_way = 0  # since the start
        self._open: Counter[str] = Counter()  # by address
        self._new: dict[Client, None] = {}  # that wait and were never answered, the longest first
        self._known: dict[Client, None] = {}  # that wait and were

    @property
    def count(self) -> int:
        """Open now."""
        return self._open.total()

    def opened(self, new: Client) -> None:
        """Have another connection give way to a new one where there are too many, or else the new one itself."""
        self._open[new.host] += 1
        if self.limit_per_address is not None and self._open[new.host] > self.limit_per_address:
            self._make_room(new, of_host=new.host)
        elif self.count > self.limit:
            self._make_room(new)

    def closed(self, client: Client) -> None:
        self.works(client)
        self._open[client.host] -= 1
        if not self._open[client.host]:
            del self._open[client.host]

    def waits(self, client: Client, is_known: bool = False) -> None:
        """From now on, unless it waits already; `is_known` where it has been answered before."""
        if client not in self._new and client not in self._known:
            (self._known if is_known else self._new)[client] = None

    def works(self, client: Client) -> None:
        self._new.pop(client, None)
        self._known.pop(client, None)

    def _make_room(self, new: Client, of_host: str | None = None) -> None:
        self.gave_way += 1
        longest = (each for each in chain(self._new, self._known) if of_host is None or each.host == of_host)
        client = next(longest, new)
        self.works(client)
        client.give_way()


def default_limit(open_files: int) -> int:
    """Connections, of so many files that may be open."""
    return max(LEAST, min(MOST, open_files - RESERVED_FILES))


def raise_open_file_limit() -> int:
    """Raise the limit to what the system allows, at most WANTED_FILES; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS may allow less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


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
