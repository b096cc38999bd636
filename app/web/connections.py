"""Limits open connections: at the limit, a new one replaces the one that has waited longest.

A connection waits if the service can only wait for its client: to send the head of a request or the rest of a refused
body, or to read an answer. At the limit, connections that have never been answered are closed first. So silent clients
never keep out an active one, even if all come from one address, as behind a proxy.
"""

import resource
import socket
import sys
from collections import Counter
from contextlib import suppress
from itertools import chain
from typing import Protocol

from app.configuration.setting_types import is_loopback
from app.settings import Settings

WANTED_FILES = 65_536  # a higher limit only makes child processes slow, which close them all

RESERVED_FILES = 400  # for the model store, pictures, the database, and connections that are being accepted
BACKLOG = 128  # connections accepted at a time: few, because they exceed the limit for a moment
MOST = 1000
LEAST = 32


class Client(Protocol):
    """One connection, as `Connections` uses it."""

    @property
    def host(self) -> str: ...

    def give_way(self) -> None:
        """Close it at once."""


class Connections:
    """All open connections; None is no limit."""

    def __init__(self, limit: int, limit_per_address: int | None = None) -> None:
        self.limit = limit
        self.limit_per_address = limit_per_address
        self.gave_way = 0  # since the start
        self._open: Counter[str] = Counter()  # by address
        self._new: dict[Client, None] = {}  # waiting, never answered; the longest first
        self._known: dict[Client, None] = {}  # waiting, answered before; the longest first

    @property
    def count(self) -> int:
        """Number of open connections."""
        return self._open.total()

    def opened(self, new: Client) -> None:
        """Add a connection; beyond the limit, close one that waits, or else the new one."""
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
        """Mark a connection as waiting, if it isn't yet; `is_known` if it has been answered before."""
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
    """Limit of connections for this limit of open files."""
    return max(LEAST, min(MOST, open_files - RESERVED_FILES))


def raise_open_file_limit() -> int:
    """Raise the limit of open files to what the system allows, at most WANTED_FILES; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS may allow less than it reports
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """Open the socket; return it, and the settings with its actual port. OSError if the address isn't available.

    Of a name with several addresses it uses the first, IPv4 before others. `::` accepts IPv4 as well if the system can.
    """
    found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)  # the first of the smallest
    both = address[0] == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server(address, family=family, dualstack_ipv6=both)
    return listener, settings.model_copy(update={"port": listener.getsockname()[1]})


def warnings(settings: Settings, listener: socket.socket) -> list[str]:
    """Warnings about who can reach the service."""
    if settings.requires_key or is_loopback(listener.getsockname()[0]):
        return []
    return [
        f"{settings.address} is reachable from other machines and CATDOG_PREDICT_KEY isn't set: anyone there can get"
        " predictions and list the models; set it, or listen on 127.0.0.1"
    ]
