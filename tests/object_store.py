"""An S3 server on loopback, by moto."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from moto.server import ThreadedMotoServer

KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3(port: int = 0) -> Iterator[dict[str, str]]:
    """Run the server; yields the environment variables with which clients find it."""
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    finally:
        server.stop()


class Bucket:
    """A bucket of a server that can be away; its objects stay."""

    def __init__(self, name: str) -> None:
        self.url = f"s3://{name}"
        self._running = s3()
        self.variables = self._running.__enter__()
        urlopen(Request(f"{self.variables['AWS_ENDPOINT_URL']}/{name}", method="PUT")).close()  # noqa: S310, on loopback

    def close(self) -> None:
        self._running.__exit__(None, None, None)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let the server refuse connections."""
        port = urlsplit(self.variables["AWS_ENDPOINT_URL"]).port or 0
        self.close()
        with socket.socket() as held:  # so that no connection gets this port, and the server would wait for it forever
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", port))
            try:
                yield
            finally:
                self._running = s3(port)
                self._running.__enter__()


def fill(variables: dict[str, str], bucket: str, folder: Path) -> None:
    """Copy the files below a folder into a new bucket."""
    import s3fs

    store = s3fs.S3FileSystem(
        key=variables["AWS_ACCESS_KEY_ID"],
        secret=variables["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        skip_instance_cache=True,
    )
    store.mkdir(bucket)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            store.pipe_file(f"{bucket}/{path.relative_to(folder)}", path.read_bytes())
