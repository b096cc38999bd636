"""Receives events on a loopback port, counts them by their id, and refuses every tenth request."""

import base64
import hashlib
import hmac
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

REFUSED = 10  # each such request is answered 503
SECRET = "whsec_" + base64.b64encode(b"the secret of the killed service").decode()


class Receiver:
    """Counts the accepted arrivals of each event, and requests with a wrong signature."""

    def __init__(self) -> None:
        self.arrivals: Counter[str] = Counter()
        self.forged = 0
        self.port = 0
        self._numbers = count(1)
        self._counting = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @contextmanager
    def listening(self) -> Iterator["Receiver"]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver._take(dict(self.headers.items()), body))
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        """Count a request; returns the status of its answer."""
        with self._counting:
            if headers["webhook-signature"] != _signature(headers, body):
                self.forged += 1
                return 401
            if next(self._numbers) % REFUSED == 0:
                return 503
            self.arrivals[headers["webhook-id"]] += 1
            return 204


def _signature(headers: dict[str, str], body: bytes) -> str:
    """By the specification of Standard Webhooks, without code of catdog."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
