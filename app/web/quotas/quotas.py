"""Limits the requests a second and the bytes a day of each key and each address.

A request with a named key counts for the key; every other one for its address, also one with the predict key, which
many programs share. The admin key has no limits, so that an admin always gets in. Answers say what is left, as
draft-ietf-httpapi-ratelimit-headers describes it.
"""

import socket
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from math import ceil
from typing import Final

from fastapi import Request

from app.errors import LimitReached
from app.settings import Settings
from app.web.quotas.table import Quota, Table, Usage
from catdog.access.roles import Limits

DAY_SECONDS: Final = 86_400.0
SAVED_SECONDS: Final = 2.0  # for which unused requests are saved up, because clients aren't exactly on time
LEAST: Final = 2.0  # requests saved up, however slow the rate is
FOLDER: Final = "limits"  # in the data folder; each machine has its own file there
MOST_BYTES: Final = 1e18  # of a declared body, so that no number overflows
SITE_BITS: Final = 64  # of an IPv6 address: one client may have all addresses that begin with the same ones
REQUESTS: Final = "requests"
BYTES: Final = "bytes"


class Quotas:
    """Refuses requests beyond the limits. Only for the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._of_keys = Limits(settings.key_requests_per_second, settings.key_bytes_per_day)
        self._of_addresses = Limits(settings.address_requests_per_second, settings.address_bytes_per_day)
        self._table = Table(settings.data_dir / FOLDER / socket.gethostname())

    def check_key(self, request: Request, name: str, limits: Limits) -> None:
        """Count a request with a named key; LimitReached."""
        if quotas := quotas_of(limits.over(self._of_keys)):
            self._check(request, f"key {name}", quotas)

    def check_address(self, request: Request) -> None:
        """Count a request for its address; LimitReached."""
        if (quotas := quotas_of(self._of_addresses)) and request.client is not None:
            self._check(request, f"address {site(request.client.host)}", quotas)

    def _check(self, request: Request, client: str, quotas: tuple[Quota, ...]) -> None:
        declared = request.headers.get("content-length")
        costs = {REQUESTS: 1.0, BYTES: min(float(declared), MOST_BYTES) if declared and declared.isdecimal() else 0.0}
        used: list[tuple[Quota, Usage]] = []
        for quota in quotas:
            usage = self._table.take(client, quota, costs[quota.name])
            used.append((quota, usage))
            if not usage.is_admitted:
                break
        request.state.headers = {"RateLimit-Policy": _policy(quotas), "RateLimit": _left(used)}
        quota, usage = used[-1]
        if not usage.is_admitted:
            raise _reached(quota, usage)
        if declared is None and quota.name == BYTES:
            request.state.count_bytes = self._counting(client, quota)

    def _counting(self, client: str, quota: Quota) -> Callable[[int], None]:
        """Counts the bytes of a body that doesn't declare its length; LimitReached."""

        def count(received: int) -> None:
            usage = self._table.take(client, quota, received)
            if not usage.is_admitted:
                raise _reached(quota, usage)

        return count

    def close(self) -> None:
        self._table.close()


@lru_cache(maxsize=1024)
def quotas_of(limits: Limits) -> tuple[Quota, ...]:
    """The quotas of these limits: SAVED_SECONDS' worth of requests, or LEAST; a day's worth of bytes."""
    found = []
    if (rate := limits.requests_per_second) is not None:
        amount = max(LEAST, SAVED_SECONDS * rate)
        found.append(Quota(REQUESTS, amount, amount / rate, "requests"))
    if limits.bytes_per_day is not None:
        found.append(Quota(BYTES, limits.bytes_per_day, DAY_SECONDS, "content-bytes"))
    return tuple(found)


@lru_cache(maxsize=4096)
def site(address: str) -> str:
    """The address of one client: of an IPv6 address the part that its network assigns."""
    if ":" not in address:
        return address
    whole = IPv6Address(address.partition("%")[0])
    return str(whole.ipv4_mapped or IPv6Address(int(whole) >> SITE_BITS << SITE_BITS))


@lru_cache(maxsize=1024)
def _policy(quotas: tuple[Quota, ...]) -> str:
    """The field RateLimit-Policy, a list of structured fields (RFC 9651)."""
    return ", ".join(
        f'"{quota.name}";q={int(quota.amount)};w={ceil(quota.seconds)};qu="{quota.unit}"' for quota in quotas
    )


def _left(used: list[tuple[Quota, Usage]]) -> str:
    """The field RateLimit: what is left, and the seconds until more is."""
    return ", ".join(f'"{quota.name}";r={int(usage.left)};t={_wait(usage)}' for quota, usage in used)


def _reached(quota: Quota, usage: Usage) -> LimitReached:
    return LimitReached(f"{quota.amount:,.10g} {quota.name} in {quota.seconds:,.6g} seconds", _wait(usage))


def _wait(usage: Usage) -> int:
    return max(1, ceil(usage.wait_seconds))
