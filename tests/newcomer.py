"""Runs the command lines of a page in a copy of this checkout that is like a fresh clone."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.places import ROOT
from tests.waiting import until

ADDRESS = "127.0.0.1:8000"


def blocks(page: str) -> list[str]:
    """The blocks of commands in a page of Markdown."""
    return re.findall(r"```sh\n(.*?)```", page, re.DOTALL)


class Newcomer:
    """A shell in a fresh checkout, with a separate port for the service."""

    def __init__(self, checkout: Path, **environment: str) -> None:
        self.checkout = checkout
        for name in tracked_files():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name)
        (checkout / ".venv").symlink_to(sys.prefix)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        made = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "CATDOG_"))}
        self.environment = made | environment | {"PORT": str(self.port)}
        self.service: subprocess.Popen[bytes] | None = None

    def type(self, command: str) -> str:
        if command == "make serve":
            return self.serve()
        mine = command.replace(ADDRESS, f"127.0.0.1:{self.port}")
        done = subprocess.run(
            ["bash", "-c", mine],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        expected = (0, 1) if "check-data" in command else (0,)  # 1 if it found something
        assert done.returncode in expected, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def serve(self) -> str:
        """Restart the service, and wait until it is ready."""
        self.stop()
        self.service = subprocess.Popen(
            ["make", "serve"], cwd=self.checkout, env=self.environment, start_new_session=True
        )
        until(self._is_ready)
        return ""

    def stop(self) -> None:
        if self.service is not None:
            os.killpg(self.service.pid, signal.SIGTERM)
            self.service.wait(timeout=60)

    def _is_ready(self) -> bool:
        assert self.service is not None
        assert self.service.poll() is None, "make serve ended"
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready").is_success
        except httpx.TransportError:
            return False


def tracked_files() -> list[str]:
    """The tracked files, and untracked ones that aren't ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
