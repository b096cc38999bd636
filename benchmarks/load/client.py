"""A client that sends one request at a time over a persistent connection."""

from collections.abc import Iterable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Self

from benchmarks.harness.photos import PREDICT, Upload
from benchmarks.harness.processes import PATIENCE_SECONDS
from benchmarks.load import closed_loop
from benchmarks.load.closed_loop import Load


class Client:
    """A client of the service on a local port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def succeeds(self, path: str) -> bool:
        """Whether a GET is answered with 200."""
        return self._exchange("GET", path) is not None

    def predict(self, upload: Upload) -> bytes | None:
        """The answer; None without an answer or if its status isn't 200."""
        return self._exchange("POST", PREDICT, upload.body, upload.headers)

    def load(self, uploads: Sequence[Upload], order: Iterable[int], seconds: float) -> Load:
        """Send the uploads in `order`, which is infinite, for some seconds; returns what this client measured."""
        return closed_loop.ask(self._port, [upload.request for upload in uploads], iter(order), 1, seconds)

    def _exchange(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes | None:
        try:
            self._connection.request(method, path, body, headers or {})
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            self._connection.close()  # the next request opens a new one
            return None
        return content if response.status == 200 else None
