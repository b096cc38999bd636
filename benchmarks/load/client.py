"""A client that sends one request at a time over a kept connection."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Self

import httpx

from benchmarks.harness.processes import PATIENCE_SECONDS
from benchmarks.load import closed_loop
from benchmarks.load.closed_loop import Load

PREDICT = "/predict"


@dataclass(frozen=True)
class Upload:
    """A photo as a form with the field `file`, encoded once so that this costs nothing while it is measured."""

    body: bytes
    headers: Mapping[str, str]

    @classmethod
    def of(cls, photo: bytes) -> Self:
        form = httpx.Request("POST", "http://localhost", files={"file": ("photo.jpg", photo, "image/jpeg")})
        return cls(form.read(), {"Content-Type": form.headers["Content-Type"]})

    @property
    def request(self) -> bytes:
        """All that goes over the wire for a prediction."""
        headers = {"Host": "127.0.0.1", **self.headers, "Content-Length": str(len(self.body))}
        lines = [f"POST {PREDICT} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class Client:
    """Asks the service on a port of this machine."""

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
        """The answer; None where there was none or its status wasn't 200."""
        return self._exchange("POST", PREDICT, upload.body, upload.headers)

    def load(self, uploads: Sequence[Upload], order: Iterable[int], seconds: float) -> Load:
        """What one client sees that sends the uploads in `order`, which doesn't end, for some seconds."""
        return closed_loop.ask(self._port, [upload.request for upload in uploads], iter(order), 1, seconds)

    def _exchange(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes | None:
        try:
            self._connection.request(method, path, body, headers or {})
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            self._connection.close()  # the next request opens another
            return None
        return content if response.status == 200 else None
