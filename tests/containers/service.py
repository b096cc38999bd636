"""The running containers: their engine's commands, and the service's API on its published port."""

import json
import os
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx

from tests.waiting import until

TRAINING_SECONDS = 240


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def container(service: str) -> str:
    """The id of the service's container, running or not."""
    return docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.service={service}")


def inspected(service: str) -> Any:
    return json.loads(docker("inspect", container(service)))[0]


def address(service: str) -> str:
    """The container's address in the network that it shares with this machine."""
    networks = inspected(service)["NetworkSettings"]["Networks"]
    return str(next(found["IPAddress"] for name, found in networks.items() if name.endswith("_default")))


def inside(service: str, *command: str, check: bool = True) -> str:
    return docker("exec", container(service), *command, check=check)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


class Service:
    """The API over HTTP, on its published local port."""

    def __init__(self) -> None:
        self.url = f"http://{os.environ['CATDOG_PUBLISH']}"
        self.client = httpx.Client(base_url=self.url, timeout=60)
        key = inside("api", "cat", "data/admin.key")
        self.admin = {"Authorization": f"Bearer {key}"}

    def is_ready(self) -> bool:
        return answers(f"{self.url}/health/ready")

    def predict(self, photo: bytes) -> httpx.Response:
        return self.client.post("/predict", content=photo, headers={"Content-Type": "image/png"})

    def upload(self, dataset: str, folder: Path) -> None:
        file = BytesIO()
        with ZipFile(file, "w") as archive:
            for path in sorted(folder.glob("*/*")):
                archive.write(path, str(path.relative_to(folder)))
        sent = self.client.post(
            f"/datasets/{dataset}/archive", files={"file": ("photos.zip", file.getvalue())}, headers=self.admin
        )
        assert sent.is_success, sent.text

    def retrain(self, dataset: str = "pets", **request: object) -> str:
        answer = self.client.post("/retrain", json={"dataset": dataset, **request}, headers=self.admin)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job: str) -> Any:
        return self.client.get(f"/retrain/{job}").json()

    def becomes(self, job: str, *statuses: str) -> None:
        until(lambda: self.job(job)["status"] in statuses, seconds=TRAINING_SECONDS, every=0.1)

    def ends(self, job: str) -> Any:
        self.becomes(job, "succeeded", "failed", "cancelled")
        return self.job(job)
