"""A service of two processes, and clients that are connected to one of them each."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import httpx

from benchmarks.harness import tree
from tests.app.process import Process, running
from tests.app.service import ADMIN
from tests.waiting import PATIENCE_SECONDS, until

PROCESSES = 2


@dataclass
class Pair:
    """A running service of PROCESSES processes."""

    process: Process

    @property
    def pids(self) -> set[int]:
        """The processes that serve, without their supervisor."""
        return tree.serving(self.process.popen.pid)

    @property
    def folder(self) -> Path:
        """The folder that they share."""
        words = Path(f"/proc/{min(self.pids)}/cmdline").read_text(encoding="utf-8").split("\0")
        return Path(words[words.index("--folder") + 1])

    @contextmanager
    def client_of_each(self) -> Iterator[list[httpx.Client]]:
        """A client of each process, which keeps its connection, and sends the admin key."""
        with ExitStack() as opened:
            clients: dict[int, httpx.Client] = {}
            while len(clients) < PROCESSES:
                client = opened.enter_context(self.client())
                clients.setdefault(self.owner(client), client)
            yield list(clients.values())

    def client(self) -> httpx.Client:
        limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
        return httpx.Client(base_url=self.process.url, headers=ADMIN, limits=limits, timeout=PATIENCE_SECONDS)

    def owner(self, client: httpx.Client) -> int:
        """The process that a client is connected to."""
        stream = client.get("/health/live").extensions["network_stream"]
        port = stream.get_extra_info("client_addr")[1]
        owner = tree.owner(self.pids, self.process.address[1], port)
        assert owner is not None
        return owner

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def pair(models_dir: Path, data_dir: Path, **settings: str) -> Iterator[Pair]:
    """A service of which each process is ready."""
    given = {"CATDOG_PROCESSES": str(PROCESSES), "CATDOG_DATA_DIR": str(data_dir), **settings}
    with running(models_dir, **given) as process:
        found = Pair(process)
        until(lambda: len(list(found.folder.glob("*.sock"))) == PROCESSES and _serve(found))
        yield found


def _serve(found: Pair) -> bool:
    """Whether both accept connections."""
    owners = set()
    for _ in range(4 * PROCESSES):
        with found.client() as client:
            owners.add(found.owner(client))
    return len(owners) == PROCESSES


def classify(client: httpx.Client, photo: bytes) -> str:
    """Queue a batch of one photo; returns its id."""
    photos = BytesIO()
    with ZipFile(photos, "w") as archive:
        archive.writestr("photo.jpg", photo)
    head = {"Content-Type": "application/zip"}
    batch: str = client.post("/batches", content=photos.getvalue(), headers=head).raise_for_status().json()["id"]
    return batch
