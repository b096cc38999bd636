"""Adds pictures to a data set one after the other, and finds those that are there later."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPResponse
from threading import Event, Thread
from time import perf_counter
from typing import Any, Final

from benchmarks.harness.photos import generated
from benchmarks.harness.processes import PATIENCE_SECONDS, Process

KEY: Final = "the key of the service that loses something"
WRITE_SECONDS: Final = 0.2  # between two requests that write
BACK_SECONDS: Final = 15.0  # after an outage, within which a request that writes must succeed again
BOUNDARY: Final = "catdog-benchmark"


@dataclass
class Writes:
    """What became of requests that write; `refused` counts those answered 503 with `Retry-After`."""

    acknowledged: set[str] = field(default_factory=set)  # sha256
    refused: int = 0
    slowest: float = 0.0  # seconds until an answer
    last: float = 0.0  # when the last one was acknowledged
    wrong: list[str] = field(default_factory=list)


class Writer(Thread):
    """Adds one picture after the other to a data set."""

    def __init__(self, process: Process, found: Writes, ended: Event, start: int) -> None:
        super().__init__()
        self._process = process
        self._found = found
        self._ended = ended
        self._seed = start

    def run(self) -> None:
        while not self._ended.wait(WRITE_SECONDS):
            self._seed += 1
            photo, began = generated(self._seed), perf_counter()
            try:
                response, body = request(self._process, "POST", "/datasets/pets/images", form(photo))
            except (OSError, HTTPException) as error:
                self._found.wrong.append(f"a picture was not answered: {error!r}")
                continue
            self._found.slowest = max(self._found.slowest, perf_counter() - began)
            if response.status == 201:
                self._found.acknowledged.add(sha256(photo).hexdigest())
                self._found.last = perf_counter()
            elif response.status == 503 and response.getheader("Retry-After"):
                self._found.refused += 1
            else:
                self._found.wrong.append(f"a picture was answered {response.status}: {body[:200]!r}")


def form(photo: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="label"\r\n\r\ncat\r\n--{BOUNDARY}\r\n'
    head += 'Content-Disposition: form-data; name="file"; filename="photo.jpg"\r\n\r\n'
    return head.encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()


def request(process: Process, method: str, address: str, body: bytes | None = None) -> tuple[HTTPResponse, bytes]:
    """Send a request as the admin."""
    headers = {"Authorization": f"Bearer {KEY}"}
    if body is not None:
        is_json = body.startswith(b"{")
        headers["Content-Type"] = "application/json" if is_json else f"multipart/form-data; boundary={BOUNDARY}"
    connection = HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, address, body, headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def stored(process: Process) -> set[str]:
    """The sha256 of all pictures of the data set, each of which can be read."""
    found, after = set[str](), ""
    while True:
        page: dict[str, Any] = json.loads(repeated(process, f"/datasets/pets/pictures?limit=500{after}"))
        for one in page["pictures"]:
            if sha256(repeated(process, f"/datasets/pets/images/{one['sha256']}")).hexdigest() == one["sha256"]:
                found.add(one["sha256"])
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


def repeated(process: Process, address: str) -> bytes:
    """The answer to a GET, once there is another one than 503: requests that waited for the database still time out."""
    until = perf_counter() + BACK_SECONDS
    while True:
        response, body = request(process, "GET", address)
        if response.status != 503 or perf_counter() > until:
            return body
        Event().wait(WRITE_SECONDS)
