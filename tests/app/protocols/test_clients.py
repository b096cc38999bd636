"""Unmodified clients of the protocols against a real service."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.environments import interpreter
from catdog import images
from tests.app.api.test_queue import ready
from tests.app.service import ADMIN_KEY, Service, publish
from tests.places import ROOT

CLIENTS = ROOT / "tests" / "clients"
ENVIRONMENT = ".venv-clients"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a second version in its store."""
    store = tmp_path_factory.mktemp("models")
    publish(store)
    publish(store, seed=8)
    with ready(store) as service:
        yield service


@pytest.fixture(scope="module")
def expected(service: Service, jpeg: bytes) -> list[float]:
    """The answer of `/predict` for the photo."""
    answer = service.client.post("/predict", content=jpeg).raise_for_status().json()
    return [*answer["probabilities"].values()]


@pytest.fixture(scope="module")
def label(service: Service, jpeg: bytes) -> str:
    answer: dict[str, str] = service.client.post("/predict", content=jpeg).raise_for_status().json()
    return answer["label"]


def said(client: str, service: Service, jpeg: bytes, folder: Path) -> dict[str, Any]:
    """The output of a client."""
    (folder / "photo.jpg").write_bytes(jpeg)
    np.save(folder / "pixels.npy", images.decode(jpeg))
    python = interpreter(ENVIRONMENT, CLIENTS / "requirements.txt", ROOT)
    command: list[str | Path] = [python, CLIENTS / client, str(service.client.base_url), folder, ADMIN_KEY]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def triton_said(service: Service, jpeg: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return said("with_tritonclient.py", service, jpeg, tmp_path_factory.mktemp("photo"))


def close(values: list[float]) -> Any:
    return pytest.approx(values, abs=1e-6)


@pytest.mark.whole
def test_tritonclient_speaks_with_the_service(triton_said: dict[str, Any], expected: list[float], label: str) -> None:
    found = triton_said

    assert (found["live"], found["ready"], found["model_ready"], found["other_ready"]) == (True, True, True, False)
    assert found["server"]["name"] == found["model"]["name"] == "catdog"
    assert found["model"]["versions"] == ["1"]
    assert [(each["version"], each["state"]) for each in found["index"]] == [("1", "READY"), ("2", "UNAVAILABLE")]
    for form in ("binary", "json", "raw"):
        answer = found[form]
        assert answer["type"] == "float32"
        assert answer["probabilities"] == [close(expected)] * len(answer["labels"])
        assert set(answer["labels"]) == {label}
    assert len(found["raw"]["labels"]) == 2
    assert found["id"] == "42"
    assert len(found["classified"]) == len(found["classified"][0]) == 2
    assert found["classified"][0][0].endswith(f":{label}")
    assert found["no_model"][0] == "404"
    assert "dogcat" in found["no_model"][1]
    assert found["no_photo"][0] == "400"
    assert "not an image" in found["no_photo"][1]


@pytest.mark.whole
def test_tritonclient_loads_a_version_in_addition_to_the_champion_and_unloads_it(triton_said: dict[str, Any]) -> None:
    found = triton_said["changed"]

    assert found["without_key"][0] == "401"
    assert [each["state"] for each in found["index"]] == ["READY", "READY"]
    assert found["second"] == "2"
    assert found["unloaded"][0] == "404"
    assert found["champion"][0] == "409"


@pytest.mark.whole
def test_the_kserve_sdk_speaks_with_the_service(
    service: Service, jpeg: bytes, expected: list[float], label: str, tmp_path: Path
) -> None:
    found = said("with_kserve.py", service, jpeg, tmp_path)

    second, first = found["v2"], found["v1"]
    assert (second["live"], second["ready"], second["model_ready"], second["other_ready"]) == (True, True, True, False)
    assert second["id"] == "42"
    for form in ("binary", "json", "raw"):
        assert np.ravel(second[form]).tolist() == close(expected)
    assert "400" in second["refused"]
    assert "not an image" in second["refused"]
    assert first["model_ready"] is True
    (prediction,) = first["answer"]["predictions"]
    assert prediction["probabilities"] == close(expected)
    assert prediction["label"] == label
    assert "no picture" in first["refused"]


def test_the_environment_is_pinned_and_no_part_of_the_repository() -> None:
    text = (CLIENTS / "requirements.txt").read_text("utf-8")

    entries = re.split(r"\n(?=[a-z0-9])", text.split("\n", 2)[2])

    assert [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert subprocess.run(["git", "check-ignore", "-q", f"{ENVIRONMENT}/x"], cwd=ROOT, check=False).returncode == 0
