"""Starts the service in a process of its own, by `python -m app`."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.app.service import ADMIN_KEY
from tests.places import ROOT
from tests.waiting import PATIENCE_SECONDS


@dataclass
class Process:
    """A service process, its client, and its log."""

    popen: subprocess.Popen[str]
    address: tuple[str, int]
    line: str  # the line that reports that it is ready

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"

    def is_ready(self) -> bool:
        return httpx.get(f"{self.url}/health/ready").is_success

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=PATIENCE_SECONDS)

    def takes_connections(self) -> bool:
        try:
            self.connect().close()
        except ConnectionError:
            return False
        return True

    def stop(self, with_signal: int = signal.SIGTERM) -> tuple[int, str]:
        """Stop it; return the exit status, and the log since it was ready."""
        self.popen.send_signal(with_signal)
        _, log = self.popen.communicate(timeout=PATIENCE_SECONDS)
        return self.popen.returncode, log


def start(folder: Path, **settings: str) -> subprocess.Popen[str]:
    """Start it in a folder without a `.env`, so that only `settings` apply."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CATDOG_")}
    command = [sys.executable, "-m", "app"]
    variables = {**environment, "PYTHONPATH": str(ROOT), **settings}
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8"
    )


@contextmanager
def running(models_dir: Path, **settings: str) -> Iterator[Process]:
    given = {
        "HOST": "127.0.0.1",
        "PORT": "0",
        "CATDOG_MODELS_DIR": str(models_dir),
        "CATDOG_ADMIN_KEY": ADMIN_KEY,
        "CATDOG_LOG_FORMAT": "text",
        "CATDOG_LOG_SLOW_SECONDS": str(PATIENCE_SECONDS),  # so that a busy machine logs no slow requests
    }
    popen = start(models_dir, **given | settings)
    assert popen.stderr is not None
    try:
        line = popen.stderr.readline()
        port = re.search(r"http://127\.0\.0\.1:(\d+) ", line)
        assert port, line
        yield Process(popen, ("127.0.0.1", int(port[1])), line)
    finally:
        popen.kill()
        popen.wait()
        popen.stderr.close()


def begin_upload(connection: socket.socket, photo: bytes) -> None:
    """Send a request's head, wait for `100 Continue`, and send half of its photo."""
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {len(photo)}\r\n"
    connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
    assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(photo[: len(photo) // 2])
