"""An HTTP client for many connections on one thread, cheap enough not to distort results."""

import json
import re
import selectors
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

from benchmarks.harness.processes import PATIENCE_SECONDS

CHUNK_BYTES = 1 << 16
LOOK_SECONDS = 1.0  # between two checks for timeouts
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Answered:
    """One request: its photo, due time, latency from then, and answer, None if it failed."""

    place: int
    due: float
    seconds: float
    answer: bytes | None

    @property
    def version(self) -> int:
        return int(json.loads(self.answer or b"{}")["model_version"])

    @property
    def probabilities(self) -> Mapping[str, float]:
        found: Mapping[str, float] = json.loads(self.answer or b"{}")["probabilities"]
        return found


class Response(NamedTuple):
    status: int
    body: bytes


def response(received: bytes) -> Response | None:
    """The answer once it is complete, else None; ValueError if its length is unknown."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    status, lower = int(head.split(b" ", 2)[1]), head.lower()
    if length := re.search(rb"\r\ncontent-length: *(\d+)", lower):
        return Response(status, body) if len(body) >= int(length[1]) else None
    if b"\r\ntransfer-encoding: chunked" not in lower:
        raise ValueError("the answer has no length")
    return Response(status, _joined(body)) if body.endswith(LAST_CHUNK) else None


class Exchanges:
    """Sends `requests`, one per photo, to the service on `port`; opens as many connections as needed."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port = port
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._failed: deque[Answered] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for connection in (*self._idle, *self._busy):
            connection.socket.close()
        self._selector.close()

    @property
    def waiting(self) -> bool:
        """Whether an answer is pending."""
        return bool(self._busy or self._failed)

    def ask(self, place: int, due: float) -> None:
        """Send the photo with index `place`; `wait` returns its answer."""
        try:
            connection = self._idle.pop() if self._idle else self._open()
            connection.begin(place, due, self._requests[place])
        except OSError:
            self._failed.append(Answered(place, due, perf_counter() - due, None))
            return
        self._busy.add(connection)
        self._selector.modify(connection.socket, connection.events, connection)

    def wait(self, seconds: float = LOOK_SECONDS) -> list[Answered]:
        """Wait until requests are answered or have failed, or until the timeout, and return them."""
        done = [self._failed.popleft() for _ in range(len(self._failed))]
        for key, _ in self._selector.select(0 if done else min(seconds, LOOK_SECONDS)):
            answered = self._advance(key.data)
            done += [answered] if answered else []
        now = perf_counter()
        late = [each for each in self._busy if now - each.due > PATIENCE_SECONDS]
        return done + [answered for each in late if (answered := self._finish(each, None))]

    def _open(self) -> "_Connection":
        connection = _Connection(self._port)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def _advance(self, connection: "_Connection") -> Answered | None:
        try:
            found = connection.advance()
        except (OSError, ValueError):
            return self._finish(connection, None)
        if found is not None:
            return self._finish(connection, found)
        self._selector.modify(connection.socket, connection.events, connection)
        return None

    def _finish(self, connection: "_Connection", found: Response | None) -> Answered | None:
        """Finish a request, or an idle connection without one; the connection stays open after an answer."""
        was_busy = connection in self._busy
        self._busy.discard(connection)
        if found is None:
            self._selector.unregister(connection.socket)
            connection.socket.close()
            self._idle = [each for each in self._idle if each is not connection]
        else:
            self._idle.append(connection)
        answer = found.body if found and found.status == 200 else None
        return Answered(connection.place, connection.due, perf_counter() - connection.due, answer) if was_busy else None


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.place, self.due = 0, 0.0
        self._unsent = memoryview(b"")
        self._received = bytearray()

    @property
    def events(self) -> int:
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    def begin(self, place: int, due: float, request: bytes) -> None:
        self.place, self.due = place, due
        self._unsent, self._received = memoryview(request), bytearray()
        self._send()

    def advance(self) -> Response | None:
        """Send and receive without blocking; returns the answer once complete. OSError if the peer has closed."""
        self._send()
        try:
            chunk = self.socket.recv(CHUNK_BYTES)
        except BlockingIOError:
            return None
        if not chunk:
            raise ConnectionResetError
        self._received += chunk
        return response(bytes(self._received))

    def _send(self) -> None:
        if self._unsent:
            try:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
            except BlockingIOError:
                return


def _joined(chunked: bytes) -> bytes:
    parts = []
    while chunked:
        size, _, chunked = chunked.partition(b"\r\n")
        length = int(size, 16)
        parts.append(chunked[:length])
        chunked = chunked[length + 2 :]
    return b"".join(parts)
