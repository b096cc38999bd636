"""An S3 server on loopback, by moto."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """Run the server; yields the environment variables with which clients find it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    finally:
        server.stop()


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
