"""One client, one request at a time, over a connection that it keeps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from time import perf_counter
from types import TracebackType
from typing import Self

import httpx

from benchmarks.processes import PATIENCE_SECONDS

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


@dataclass(frozen=True)
class Load:
    """What a client saw in `seconds`: how long each answer took, and how many requests had none or an error."""

    seconds: float
    latencies_seconds: tuple[float, ...]
    failures: int
    answers: Mapping[int, bytes]  # the first for each photo, by its place

    @property
    def requests_a_second(self) -> float:
        """Of those answered."""
        return len(self.latencies_seconds) / self.seconds


class Client:
    """Asks the service on a port of this machine."""

    def __init__(self, port: int) -> None:
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
        """Send the uploads in `order`, which doesn't end, for some seconds."""
        latencies: list[float] = []
        answers: dict[int, bytes] = {}
        failures = 0
        begun = now = perf_counter()
        for place in order:
            answer = self.predict(uploads[place])
            before, now = now, perf_counter()
            if answer is None:
                failures += 1
            else:
                latencies.append(now - before)
                answers.setdefault(place, answer)
            if now - begun >= seconds:
                break
        return Load(now - begun, tuple(latencies), failures, answers)

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
