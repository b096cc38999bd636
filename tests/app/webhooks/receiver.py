"""A receiver of webhooks on a loopback port, which verifies signatures as their specification says."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.waiting import until

SECRET, ANOTHER = (
    "whsec_" + base64.b64encode(key).decode()
    for key in (b"a secret of more than 24 characters", b"another one of more than 24 characters")
)


def verified(secret: str, headers: Any, body: bytes) -> bool:
    """Whether a signature is right, by the specification and without code of catdog."""
    key = base64.b64decode(secret[len("whsec_") :])
    signed = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    right = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    return any(hmac.compare_digest(right, one.encode()) for one in headers["webhook-signature"].split(" "))


@dataclass
class Request:
    """A request that arrived."""

    id: str
    timestamp: int
    path: str
    event: dict[str, Any]
    is_genuine: bool


@dataclass
class Receiver:
    """Answers with `answer`, which gets the handler once the request was noted; by default with 204."""

    secret: str = SECRET
    requests: list[Request] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?of=catdog"

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """The genuine events, by their first arrival."""
        return list({request.id: request.event for request in self.requests if request.is_genuine}.values())

    def wait_for(self, type: str, count: int = 1) -> list[dict[str, Any]]:
        """The events of this type, once there are so many."""
        until(lambda: len(self.of(type)) >= count)
        return self.of(type)

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.accepted if event["type"] == type]

    @contextmanager
    def listening(self) -> Iterator["Receiver"]:
        self.start()
        try:
            yield self
        finally:
            self.stop()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Don't answer before the end of the block."""
        over = threading.Event()

        def wait(handler: BaseHTTPRequestHandler) -> None:
            over.wait()

        self.answer = wait
        try:
            yield
        finally:
            self.answer = None
            over.set()

    def start(self) -> None:
        """Listen on the same port as before, at first on any free one."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.02))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        headers = handler.headers
        is_genuine = verified(self.secret, headers, body)
        self.requests.append(
            Request(
                headers["webhook-id"], int(headers["webhook-timestamp"]), handler.path, json.loads(body), is_genuine
            )
        )
        if self.answer is not None:
            self.answer(handler)
            return
        handler.send_response(204 if is_genuine else 401)
        handler.end_headers()


def answering(status: int, times: int = 1_000_000, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer with this status for so many requests, then with 204."""
    left = iter(range(times))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status if next(left, None) is not None else 204)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer
