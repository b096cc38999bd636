"""Refuses requests from other web sites and for other host names.

A page elsewhere can make a browser send requests here: across sites, which `Origin` shows, or to a name of its own that
it points to this machine (DNS rebinding), which `Host` shows. IP addresses can't be rebound.
"""

import socket

from fastapi import Request
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.configuration import setting_types
from app.configuration.setting_types import EVERY, place
from app.errors import CrossOrigin, MisdirectedRequest
from app.settings import Settings
from app.web import problem_details

READABLE = (
    "X-Request-ID",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "Location",
    "WWW-Authenticate",
    "Accept-Encoding",
    "Allow",
)


class CrossOriginSharing:
    """ASGI middleware that lets pages of the origins in CATDOG_CORS_ORIGINS read every answer, errors included.

    It answers their preflights without a key, because browsers send none with them.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._origins = frozenset(settings.cors_origins)
        self._sharing = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            allow_private_network=True,  # listed origins may reach this network
            expose_headers=READABLE,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_shared = scope["type"] == "http" and is_listed(Headers(scope=scope).get("origin", ""), self._origins)
        await (self._sharing if is_shared else self.app)(scope, receive, send)


def is_listed(origin: str, listed: frozenset[str]) -> bool:
    """Whether a browser's `Origin` header is one of the listed origins; `*` lists all but `null`."""
    return origin in listed or (EVERY in listed and origin != setting_types.NULL and place(origin) is not None)


class TrustedOrigin:
    """ASGI middleware that refuses requests to host names of other services, and from pages of other sites."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._every = EVERY in settings.allowed_hosts
        self._allowed = frozenset(name.lower().removesuffix(".") for name in settings.allowed_hosts)
        self._own = {"localhost", settings.host.lower(), socket.gethostname().lower()}
        self._origins = frozenset(settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (error := self._fault(Headers(scope=scope))):
            return await problem_details.respond(Request(scope), error)(scope, receive, send)
        return await self.app(scope, receive, send)

    def _fault(self, headers: Headers) -> MisdirectedRequest | CrossOrigin | None:
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if host and not self._is_ours(host):  # HTTP/1.0 requires none
            return MisdirectedRequest(host)
        if origin and not _is_same(origin, host) and not self._may_come_from(origin, is_preflight(headers)):
            return CrossOrigin(origin)
        return None

    def _is_ours(self, host: str) -> bool:
        found = place(f"//{host}")
        if found is None:
            return False
        return (
            self._every
            or self._is_allowed(found.name)
            or found.name in self._own
            or setting_types.is_address(found.name)
        )

    def _may_come_from(self, origin: str, preflight: bool) -> bool:
        """Whether the settings allow the origin: even another port of this machine is another site.

        A page of an allowed host may be behind a proxy that replaced the `Host`; a preflight shows that it isn't.
        """
        if is_listed(origin, self._origins):
            return True
        found = place(origin)
        return found is not None and not preflight and (self._every or self._is_allowed(found.name))

    def _is_allowed(self, name: str) -> bool:
        return setting_types.matches(name, self._allowed)


def is_preflight(headers: Headers) -> bool:
    """Whether the request is a preflight, which browsers send before a page's request to another origin."""
    return "access-control-request-method" in headers


def _is_same(origin: str, host: str) -> bool:
    """Whether a page sends to its own host. The scheme is the page's, because a proxy may have terminated TLS."""
    scheme, _, _ = origin.partition("://")
    found = place(origin)
    return found is not None and found == place(f"{scheme}://{host}")
