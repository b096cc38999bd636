"""Sends one event to one URL."""

import os
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import anyio
import h11
from anyio.abc import ByteStream

from app.configuration.setting_types import DEFAULT_PORTS
from app.webhooks import addresses

HEAD_BYTES: Final = 16 * 1024  # of an answer; its body isn't read
READ_BYTES: Final = 4096


class Undelivered(Exception):
    """The receiver didn't accept the event; the text says why."""

    def __init__(self, problem: str, retry_after_seconds: float = 0.0) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(problem)


async def post(url: str, headers: Mapping[str, str], body: bytes, seconds: float, allows_private: bool) -> None:
    """Send a POST request, and return when it is answered with a status from 200 to 299; else Undelivered.

    It takes at most this many seconds. Redirects aren't followed.
    """
    try:
        with anyio.fail_after(seconds):
            answer = await _asked(url, headers, body, allows_private)
    except TimeoutError:
        raise Undelivered(f"there was no answer within {seconds:g} seconds") from None
    except addresses.Refused as error:
        raise Undelivered(str(error)) from error
    except h11.RemoteProtocolError as error:
        raise Undelivered(f"the answer isn't HTTP: {error}") from error
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        raise Undelivered(f"the connection failed: {_reason(error.__cause__ or error)}") from error
    _check(answer)


def _reason(error: BaseException) -> str:
    if isinstance(error, ConnectionError) and error.errno:  # the event loops word it differently
        return os.strerror(error.errno)
    return str(error) or "it was closed"


def _check(answer: h11.Response) -> None:
    status = answer.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise Undelivered(f"the answer was {status}; redirects aren't followed, so set the URL that it leads to")
    asked = dict(answer.headers).get(b"retry-after", b"")
    raise Undelivered(f"the answer was {status}", float(asked) if asked.isdigit() else 0.0)


async def _asked(url: str, headers: Mapping[str, str], body: bytes, allows_private: bool) -> h11.Response:
    """The head of the answer."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {"Host": parts.netloc, **headers, "Content-Length": str(len(body)), "Connection": "close"}
    client = h11.Connection(h11.CLIENT, HEAD_BYTES)
    request = h11.Request(method="POST", target=target, headers=list(fields.items()))
    sent = b"".join(client.send(part) or b"" for part in (request, h11.Data(body), h11.EndOfMessage()))
    found = await addresses.resolved(host, port, allows_private)
    async with await _connected(found, host, port, parts.scheme == "https") as stream:
        await stream.send(sent)
        return await _head(client, stream)


async def _connected(found: list[str], host: str, port: int, is_encrypted: bool) -> ByteStream:
    """A connection to the first address that accepts one; certificates are checked for the host's name."""
    for place, address in enumerate(found):
        try:
            if not is_encrypted:
                return await anyio.connect_tcp(address, port)
            return await anyio.connect_tcp(
                address, port, tls=True, ssl_context=_tls(), tls_hostname=host, tls_standard_compatible=False
            )
        except OSError:
            if place == len(found) - 1:
                raise
    raise OSError(f"{host} has no address")


async def _head(client: h11.Connection, stream: ByteStream) -> h11.Response:
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(await _received(stream))
        elif isinstance(event, h11.Response):
            return event
        elif not isinstance(event, h11.InformationalResponse):
            raise anyio.EndOfStream


async def _received(stream: ByteStream) -> bytes:
    try:
        return await stream.receive(READ_BYTES)
    except anyio.EndOfStream:
        return b""


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
