"""A web server on this machine that publishes one file, well or badly."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from training.data import imagenet


@dataclass
class Site:
    """The published content, the server's misbehaviour, and the received requests."""

    content: bytes
    etag: str | None = '"first"'
    missing: bool = False
    knows_ranges: bool = True
    says_length: bool = True
    cut_after_bytes: int | None = None  # of a body
    shift_bytes: int = 0  # between the range that was asked for and the one that is sent
    url: str = ""
    ranges: list[str | None] = field(default_factory=list)  # that were asked for, a request each
    statuses: list[int] = field(default_factory=list)  # of the answers

    def answer(self, asked: str | None, if_range: str | None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        size = len(self.content)
        if self.missing:
            return 404, {}, b""
        if not (self.knows_ranges and asked and if_range == self.etag):
            return 200, {}, self.content
        start = int(asked.removeprefix("bytes=").removesuffix("-")) + self.shift_bytes
        if start >= size:
            return 416, {"Content-Range": f"bytes */{size}"}, b""
        return 206, {"Content-Range": f"bytes {start}-{size - 1}/{size}"}, self.content[start:]


@contextmanager
def serving(content: bytes) -> Iterator[Site]:
    """Publish `content` until the block ends."""
    site = Site(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = site.answer(self.headers["Range"], self.headers["If-Range"])
            site.ranges.append(self.headers["Range"])
            site.statuses.append(status)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if site.etag:
                self.send_header("ETag", site.etag)
            if site.says_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: site.cut_after_bytes])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}/photos.zip"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@contextmanager
def publishing_weights(content: bytes) -> Iterator[Site]:
    """Replace Keras's site until the block ends: ImageNet's weights are this `content`, with its size and hash."""
    with pytest.MonkeyPatch.context() as patch, serving(content) as site:
        patch.setenv("no_proxy", "127.0.0.1")
        patch.setattr(imagenet, "BYTES", len(content))
        patch.setattr(imagenet, "MD5", md5(content, usedforsecurity=False).hexdigest())
        patch.setattr(imagenet, "URL", site.url)
        yield site
