"""A TypeScript client that is generated from `/openapi.json` compiles, and talks to the service."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.api.test_queue import ready
from tests.app.service import Service, publish
from tests.places import ROOT

SOURCE = ROOT / "tests" / "clients" / "typescript"

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js with npm"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    store = tmp_path_factory.mktemp("models")
    publish(store)
    with ready(store) as service:
        yield service


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's folder, with the packages in package-lock.json."""
    folder = Path(shutil.copytree(SOURCE, tmp_path_factory.mktemp("typescript") / "client"))
    run(folder, "npm", "ci", "--no-audit", "--no-fund")
    return folder


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_generated_client_compiles_strictly_and_gets_answers(service: Service, project: Path, jpeg: bytes) -> None:
    (project / "openapi.json").write_bytes(service.client.get("/openapi.json").content)
    (project / "photo.jpg").write_bytes(jpeg)
    run(project, "npx", "openapi-typescript", "openapi.json", "--output", "schema.d.ts")
    run(project, "npx", "tsc")

    said = json.loads(run(project, "node", "client.js", str(service.client.base_url), "photo.jpg"))

    expected = service.client.post("/predict?unknown_keep=0.9", content=jpeg).json()
    assert (said["label"], said["probability"]) == (expected["label"], expected["probability"])
    assert said["classes"] == ["cat", "dog"]
    assert said["problem"]["type"] == "urn:catdog:problem:version-not-found"
