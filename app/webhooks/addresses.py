"""Resolves the host of a URL, and refuses addresses that aren't public.

The addresses that were checked are connected to, so a name that resolves to another address a moment later changes
nothing (DNS rebinding).
"""

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from anyio import CapacityLimiter, to_thread

NAT64: Final = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
RESOLVERS: Final = 4  # threads: a resolver may take long

_threads = CapacityLimiter(RESOLVERS)


class Refused(Exception):
    """A host that nothing is sent to; the text says why."""


async def resolved(host: str, port: int, allows_private: bool) -> list[str]:
    """The addresses of a host, in the order to try; Refused if it has none, or one that isn't allowed."""
    try:
        found = await to_thread.run_sync(_look_up, host, port, limiter=_threads, abandon_on_cancel=True)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label of the name is too long
        raise Refused(f"the address of {host} can't be found: {error}") from error
    private = [address for address in found if not is_public(address)]
    if private and not allows_private:
        raise Refused(
            f"{host} has the address {private[0]}, which isn't public; CATDOG_WEBHOOK_PRIVATE=true allows such ones"
        )
    return found


def is_public(address: str) -> bool:
    """Whether an IP address is reachable from everywhere, as is the IPv4 address that an IPv6 address stands for."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return all(each.is_global and not each.is_multicast for each in (_embedded(ip) or [ip]))


def _embedded(ip: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    if not isinstance(ip, IPv6Address):
        return []
    nat64 = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None
    return [each for each in (ip.ipv4_mapped, ip.sixtofour, nat64) if each is not None]


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
