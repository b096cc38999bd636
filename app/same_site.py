"""Where a request may come from: this service's own names and pages.

A page elsewhere can make a browser send requests here: across sites, which `Origin` tells, or by a name of its own
that it points to this machine (DNS rebinding), which `Host` tells. Addresses can't be rebound.
"""

import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app import problems
from app.errors import CrossOrigin, MisdirectedRequest
from app.settings import Settings

EVERY_HOST = "*"
DEFAULT_PORTS = {"http": 80, "https": 443}


class SameSite:
    """ASGI middleware that refuses requests to names which aren't this service's, and those of pages of other sites."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._every = EVERY_HOST in settings.allowed_hosts
        self._allowed = {name.lower().removesuffix(".") for name in settings.allowed_hosts}
        self._own = {"localhost", settings.host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (error := self._fault(Headers(scope=scope))):
            return await problems.respond(Request(scope), error)(scope, receive, send)
        return await self.app(scope, receive, send)

    def _fault(self, headers: Headers) -> MisdirectedRequest | CrossOrigin | None:
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if host and not self._is_ours(host):  # HTTP/1.0 knows none
            return MisdirectedRequest(host)
        if origin and not _is_same(origin, host) and not self._may_come_from(origin):
            return CrossOrigin(origin)
        return None

    def _is_ours(self, host: str) -> bool:
        place = _place(f"//{host}")
        return place is not None and (self._every or place.name in self._allowed | self._own or _is_address(place.name))

    def _may_come_from(self, origin: str) -> bool:
        """Only where the settings say so: another port of this machine is another site."""
        place = _place(origin)
        return place is not None and (self._every or place.name in self._allowed)


class _Place(NamedTuple):
    name: str
    port: int | None


def _place(url: str) -> _Place | None:
    """Where a URL leads; None where that can't be told, as for the origin `null`."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
    except ValueError:  # brackets that hold no address, or a port that is no number
        return None
    if not name or parts.username is not None:
        return None
    return _Place(name.removesuffix("."), port or DEFAULT_PORTS.get(parts.scheme))


def _is_same(origin: str, host: str) -> bool:
    """Whether a page sends to the host that it came from. The scheme is the page's: a proxy may have ended its TLS."""
    scheme, _, _ = origin.partition("://")
    place = _place(origin)
    return place is not None and place == _place(f"{scheme}://{host}")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
