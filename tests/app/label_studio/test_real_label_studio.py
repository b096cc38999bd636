"""A real Label Studio, unmodified: its pictures are prelabelled, people annotate them, and a better version follows."""

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import HttpUrl, SecretStr

from benchmarks.harness.environments import interpreter
from benchmarks.harness.processes import BenchmarkError
from catdog.versions.store import Store
from tests.app.api.test_retrain import ended
from tests.app.label_studio.studio import CONFIGURATION
from tests.app.service import ADMIN, ADMIN_KEY, Service, serving
from tests.photos import draw_set, draw_splits
from tests.places import ROOT
from tests.waiting import until
from training.data import service_datasets
from training.fitting.config import Config
from training.fitting.observer import Terminal
from training.publishing.pipeline import Request, train

ENVIRONMENT = ".venv-label-studio"
REQUIREMENTS = ROOT / "tests" / "clients" / "label-studio.txt"
START_SECONDS = 300
TASKS = 100
TESTED = 30  # photos of each class, enough for the promotion rule
KINDS = {"cat": "Cat", "dog": "Dog"}


@dataclass
class Studio:
    """A running Label Studio, with a client of its API."""

    url: str
    token: str
    client: httpx.Client

    def tasks(self, project: int) -> list[dict[str, Any]]:
        asked = {"project": project, "page_size": TASKS, "fields": "all"}
        found: list[dict[str, Any]] = self._get("/api/tasks", asked)["tasks"]
        return found

    def _get(self, path: str, asked: dict[str, Any]) -> Any:
        return self.client.get(path, params=asked).raise_for_status().json()

    def post(self, path: str, what: Any = None, **more: Any) -> Any:
        return self.client.post(path, json=what, **more).raise_for_status().json()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """Label Studio in an environment of its own, allowed to call a backend on this machine."""
    try:
        python = interpreter(ENVIRONMENT, REQUIREMENTS, ROOT)
    except BenchmarkError as error:
        pytest.skip(f"Label Studio can't be installed: {error}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, url = secrets.token_hex(20), f"http://127.0.0.1:{port}"
    local = {"ML_BLOCK_LOCAL_IP": "false", "SSRF_PROTECTION_ENABLED": "false", "COLLECT_ANALYTICS": "false"}
    legacy = {"LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true", "LABEL_STUDIO_BASE_DATA_DIR": str(tmp_path / "studio")}
    user = ("--username", "person@example.com", "--password", secrets.token_hex(8), "--user-token", token)
    command: list[str | Path] = [python.with_name("label-studio"), "start", "--no-browser", "--port", str(port), *user]
    with (tmp_path / "studio.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | local | legacy, stdout=log, stderr=log)
        try:
            headers = {"Authorization": f"Token {token}"}
            with httpx.Client(base_url=url, headers=headers, timeout=120) as client:
                until(lambda: _is_up(client, process), START_SECONDS, every=0.25)
                yield Studio(url, token, client)
        finally:
            process.terminate()
            process.wait(60)


def _is_up(client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "Label Studio ended"
    try:
        return client.get("/api/projects").is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def connected(studio: Studio, tmp_path: Path) -> Iterator[Service]:
    """A service with photos to test on, whose version learnt the two classes the wrong way round."""
    wrong = draw_splits(tmp_path / "wrong", 24, 6, 0)
    for split in ("train", "validation"):
        (wrong / split / "cat").rename(wrong / split / "aside")
        (wrong / split / "dog").rename(wrong / split / "cat")
        (wrong / split / "aside").rename(wrong / split / "dog")
    config = Config(backbone="random", width=1 / 32)
    train(Request(config, wrong, command=""), Store(tmp_path / "models"), tmp_path / "data", Terminal())
    settings: dict[str, Any] = {"label_studio_url": HttpUrl(studio.url), "label_studio_token": SecretStr(studio.token)}
    with serving(tmp_path / "models", data_dir=tmp_path / "data", **settings) as service:
        tested = draw_splits(tmp_path / "tested", 0, 0, TESTED)
        service_datasets.import_folder(tested, service.app.state.database.datasets, "label-studio")
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        yield service


@pytest.mark.label_studio
def test_pictures_are_imported_prelabelled_annotated_and_prelabelled_better(
    studio: Studio, connected: Service, tmp_path: Path
) -> None:
    project = studio.post("/api/projects", {"title": "pets", "label_config": CONFIGURATION})["id"]
    photos = draw_set(tmp_path / "photos", TASKS // 2, first=500)
    for place, path in enumerate(sorted(photos.rglob("*.png"))):
        name = f"{path.parent.name}-{place}.png"
        studio.post(f"/api/projects/{project}/import", files={"file": (name, path.read_bytes(), "image/png")})
    backend = str(connected.client.base_url).replace("://", f"://catdog:{ADMIN_KEY.replace(' ', '%20')}@")
    connection = studio.post("/api/ml", {"url": f"{backend}/label-studio", "project": project, "title": "catdog"})
    assert connection["state"] == "CO"

    prelabel(studio, project)
    assert right(studio, project, "1") <= TASKS // 4  # the version learnt the classes the wrong way round

    for task in studio.tasks(project):
        chosen = {"from_name": "animal", "to_name": "photo", "type": "choices", "value": {"choices": [truth(task)]}}
        studio.post(f"/api/tasks/{task['id']}/annotations", {"result": [chosen]})
    (counts,) = connected.client.get("/datasets").json()["datasets"]
    assert (counts["name"], counts["pictures"]) == ("label-studio", TASKS + 2 * TESTED)

    studio.client.post(f"/api/ml/{connection['id']}/train").raise_for_status()
    job = ended(connected, "latest")
    assert job["decision"]["promoted"], job["reason"]
    until(lambda: connected.client.get("/model").json()["version"] == job["version"])
    prelabel(studio, project)
    assert right(studio, project, str(job["version"])) >= 0.95 * TASKS


def prelabel(studio: Studio, project: int) -> None:
    """Let Label Studio ask for predictions of all tasks."""
    everything = {"selectedItems": {"all": True, "excluded": []}}
    studio.post(f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}", everything)


def truth(task: dict[str, Any]) -> str:
    """The choice that is right for a task, by the name of its file."""
    name = str(task["data"]["image"]).rpartition("/")[2]
    return next(choice for kind, choice in KINDS.items() if f"{kind}-" in name)


def right(studio: Studio, project: int, version: str) -> int:
    """Number of tasks that this version prelabelled rightly; each must have a prediction of it."""
    found = 0
    for task in studio.tasks(project):
        (said,) = [each for each in task["predictions"] if each["model_version"] == version]
        found += said["result"][0]["value"]["choices"] == [truth(task)]
    return found
