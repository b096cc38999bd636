"""Users whom a trusted proxy has signed in, such as oauth2-proxy with OpenID Connect.

The proxy names them in the headers X-Forwarded-Email, X-Forwarded-User and X-Forwarded-Groups. Anyone can send these,
so they count only on connections from the address of the settings; no header can change that address.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from fastapi import Request

from app.configuration.setting_types import EVERY, RoleGrant
from app.settings import Settings
from catdog.access.roles import LADDER, Role

EMAIL, USER, GROUPS = "x-forwarded-email", "x-forwarded-user", "x-forwarded-groups"


class User(NamedTuple):
    """Who was signed in, and the highest role that the settings give; None for none."""

    name: str
    role: Role | None


def user(request: Request, settings: Settings) -> User | None:
    """The user of a request; None if the trusted proxy didn't send it, or names none."""
    if settings.proxy_address is None or _peer(request) != settings.proxy_address:
        return None
    headers = request.headers
    name = headers.get(EMAIL) or headers.get(USER) or ""
    if not name:
        return None
    groups = [group.strip() for group in headers.get(GROUPS, "").split(",") if group.strip()]
    return User(name, _highest(settings.proxy_roles, name, groups))


def _peer(request: Request) -> IPv4Address | IPv6Address | None:
    """The other end of the connection, ignoring X-Forwarded-For."""
    try:
        found = ip_address(request.state.peer.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _highest(grants: Iterable[RoleGrant], name: str, groups: Iterable[str]) -> Role | None:
    known = {name.casefold(), *(group.casefold() for group in groups)}
    given = [grant.role for grant in grants if grant.to == EVERY or grant.to in known or _has_domain(name, grant.to)]
    return max(given, key=LADDER.index, default=None)


def _has_domain(name: str, pattern: str) -> bool:
    """Whether the pattern is `*@example.com`, and the name an address there."""
    return pattern.startswith("*@") and name.casefold().endswith(pattern[1:])
