"""A small server with the addresses of Label Studio that catdog reads, and the requests that it sends."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from pydantic import HttpUrl, SecretStr

CONFIGURATION = (
    '<View><Image name="photo" value="$image"/><Choices name="animal" toName="photo">'
    '<Choice value="Cat"/><Choice value="Dog"/></Choices></View>'
)
LEGACY, PERSONAL, SHORT_LIVED = "0123456789abcdef", "a.personal.token", "short-lived"


@dataclass
class Studio:
    """Its pictures by address, the annotated tasks that it exports, and what it was asked for."""

    url: str
    pictures: dict[str, bytes] = field(default_factory=dict)
    exported: list[dict[str, Any]] = field(default_factory=list)
    seen: list[tuple[str, str | None]] = field(default_factory=list)  # path, Authorization
    exchanges: int = 0  # of personal tokens for short-lived ones

    @property
    def settings(self) -> dict[str, Any]:
        """Those that connect a service to it."""
        return {"label_studio_url": HttpUrl(self.url), "label_studio_token": SecretStr(LEGACY)}

    def task(self, number: int, photo: bytes) -> dict[str, Any]:
        """A task with this picture."""
        address = f"/data/upload/1/{number}.png"
        self.pictures[address] = photo
        return {"id": number, "data": {"image": address}, "meta": {}, "project": 1}


@contextmanager
def running() -> Iterator[Studio]:
    """Run it on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    studio = Studio(f"http://127.0.0.1:{server.server_port}")
    server.studio = studio  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield studio
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        studio: Studio = self.server.studio  # type: ignore[attr-defined]
        studio.seen.append((self.path, self.headers["Authorization"]))
        if self.headers["Authorization"] not in (f"Token {LEGACY}", f"Bearer {SHORT_LIVED}"):
            self._answer(401, b"")
        elif self.path == "/moved.png":
            self.send_response(302)
            self.send_header("Location", "/data/upload/1/1.png")
            self.end_headers()
        elif self.path == "/api/projects/1/export?exportType=JSON":
            self._answer(200, json.dumps(studio.exported).encode())
        elif (picture := studio.pictures.get(self.path)) is not None:
            self._answer(200, picture)
        else:
            self._answer(404, b"")

    def do_POST(self) -> None:
        self.server.studio.exchanges += 1  # type: ignore[attr-defined]
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_right = (self.path, said) == ("/api/token/refresh", {"refresh": PERSONAL})
        self._answer(200 if is_right else 401, json.dumps({"access": SHORT_LIVED}).encode())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def annotation(label: str, **more: object) -> dict[str, Any]:
    """What a person said of a picture."""
    chosen = {"from_name": "animal", "to_name": "photo", "type": "choices", "value": {"choices": [label]}}
    return {"id": 1, "result": [chosen], "was_cancelled": False, **more}


def event(action: str, **more: object) -> dict[str, Any]:
    """A request of Label Studio's webhooks."""
    return {"action": action, "project": {"id": 1, "title": "pets", "label_config": CONFIGURATION}, **more}


def basic(key: str) -> dict[str, str]:
    """The header of a backend's address such as http://catdog:KEY@host."""
    return {"Authorization": f"Basic {b64encode(f'catdog:{key}'.encode()).decode()}"}
