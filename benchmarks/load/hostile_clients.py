"""Clients that try to use up a service's connections, memory or time.

Each client is one connection, which is opened again whenever the service closes it. They only connect to loopback.
"""

import asyncio
import resource
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Event
from typing import NamedTuple

from benchmarks.harness.processes import END_SECONDS, python

MIB = 2**20
BATCH_BYTES = 64 * MIB
AGAIN_SECONDS = 0.05
STEP_SECONDS = 1.0  # between the bytes of a slow client
HOST = "Host: localhost"
PHOTO = "Content-Type: image/jpeg"
FORM = "Content-Type: multipart/form-data; boundary=x"
CHUNKED = "Transfer-Encoding: chunked"
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

Attack = Callable[[StreamReader, StreamWriter], Awaitable[None]]


class Kind(NamedTuple):
    """A number of connections with the same behaviour."""

    attack: Attack
    connections: int


def head(path: str, *lines: str) -> bytes:
    return ("\r\n".join([f"POST {path} HTTP/1.1", HOST, *lines]) + "\r\n\r\n").encode()


async def dribble(reader: StreamReader, writer: StreamWriter) -> None:
    """Send a byte per second, until the service closes the connection."""
    while not reader.at_eof():
        writer.write(b"x")
        with suppress(TimeoutError):
            if not await asyncio.wait_for(reader.read(MIB), STEP_SECONDS):
                return


async def slow_body(reader: StreamReader, writer: StreamWriter) -> None:
    writer.write(head("/predict", PHOTO, f"Content-Length: {MIB}"))
    await dribble(reader, writer)


async def slow_head(reader: StreamReader, writer: StreamWriter) -> None:
    writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
    await dribble(reader, writer)


async def silent(reader: StreamReader, writer: StreamWriter) -> None:
    await reader.read()


async def half_batch(reader: StreamReader, writer: StreamWriter) -> None:
    """Send half of a batch of the largest size, and then nothing."""
    writer.write(head("/predict/batch", FORM, f"Content-Length: {BATCH_BYTES}") + PART)
    for _ in range(BATCH_BYTES // MIB // 2):
        writer.write(bytes(MIB))
        await writer.drain()
    await reader.read()


async def tiny_chunks(reader: StreamReader, writer: StreamWriter) -> None:
    await send_for_ever(writer, head("/predict", PHOTO, CHUNKED), b"1\r\nx\r\n" * 10_000)


async def refused_tiny_chunks(reader: StreamReader, writer: StreamWriter) -> None:
    """Send tiny chunks to an endpoint that requires a key, without the key."""
    await send_for_ever(
        writer, head("/datasets/pets/archive", "Content-Type: application/zip", CHUNKED), b"1\r\nx\r\n" * 10_000
    )


async def tiny_parts(reader: StreamReader, writer: StreamWriter) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    await send_for_ever(writer, head("/predict/batch", FORM, f"Content-Length: {BATCH_BYTES}"), part * 1000)


async def send_for_ever(writer: StreamWriter, first: bytes, then: bytes) -> None:
    writer.write(first)
    while True:
        writer.write(then)
        await writer.drain()


KINDS = {
    "slow-bodies": Kind(slow_body, 300),
    "slow-heads": Kind(slow_head, 300),
    "silent": Kind(silent, 1100),
    "half-batches": Kind(half_batch, 60),
    "tiny-chunks": Kind(tiny_chunks, 8),
    "refused-tiny-chunks": Kind(refused_tiny_chunks, 8),
    "tiny-parts": Kind(tiny_parts, 8),
}


def elsewhere(name: str) -> Callable[[int, int, Event], None]:
    """An attack by these clients in a separate process, until the event is set."""

    def attack(port: int, number: int, stop: Event) -> None:
        if number > 0:  # one process runs all clients
            return
        with subprocess.Popen(
            python("benchmarks.load.hostile_clients", name, str(port)), stderr=subprocess.DEVNULL
        ) as popen:
            stop.wait()
            popen.terminate()
            popen.wait(END_SECONDS)

    return attack


async def _again_and_again(attack: Attack, port: int) -> None:
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await attack(reader, writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(AGAIN_SECONDS)


async def run(kind: Kind, port: int) -> None:
    """Run all connections of a kind until cancelled."""
    await asyncio.gather(*[_again_and_again(kind.attack, port) for _ in range(kind.connections)])


def main() -> None:
    name, port = sys.argv[1:]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(run(KINDS[name], int(port)))


if __name__ == "__main__":
    main()
