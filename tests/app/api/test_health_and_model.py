from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from catdog.engines.openvino import OpenVINOEngine
from catdog.network.architecture import Architecture
from catdog.versions import golden
from catdog.versions.manifest import Golden, Manifest, Quantization
from catdog.versions.measurements import Measured
from catdog.versions.store import Store
from catdog.versions.version import Version
from tests.app.service import TINY, Service, publish, serving
from tests.waiting import PATIENCE_SECONDS, until


def test_a_ready_service_names_its_version(service: Service) -> None:
    response = service.client.get("/health/ready")

    assert response.status_code == 200
    assert response.json() == {"ready": True, "model_version": 1, "problem": None}


def test_a_service_is_alive_but_not_ready_while_its_model_is_loaded(
    tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go, load = Event(), Version.load

    def slowly(version: Version) -> object:
        assert let_go.wait(PATIENCE_SECONDS)
        return load(version)

    publish(tmp_path)
    monkeypatch.setattr(Version, "load", slowly)
    with serving(tmp_path) as service:
        assert service.client.get("/health/live").json() == {"live": True}
        assert service.client.get("/health/ready").json()["detail"] == "the model is being loaded"
        assert service.client.post("/predict", files={"file": jpeg}).headers["Retry-After"] == "1"

        let_go.set()

        until(lambda: service.client.get("/health/ready").is_success)
        assert service.client.post("/predict", files={"file": jpeg}).is_success


def test_a_store_without_a_version_is_a_reason_not_to_be_ready(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        until(lambda: "being loaded" not in service.client.get("/health/ready").text)

        assert "no version is in service" in service.client.get("/health/ready").json()["detail"]
        assert service.client.get("/health/live").is_success


def test_a_champion_that_cannot_answer_never_becomes_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(engine: OpenVINOEngine, pixels: object) -> None:
        raise RuntimeError("an unknown instruction")

    publish(tmp_path)
    monkeypatch.setattr(OpenVINOEngine, "infer", fail)
    with serving(tmp_path) as service:
        until(lambda: "being loaded" not in service.client.get("/health/ready").text)

        assert service.client.get("/health/ready").status_code == 503


def _damaged(version: Version) -> None:
    version.weights_path.write_bytes(b"not what it was")


def _missing(version: Version) -> None:
    version.weights_path.unlink()


def _unreadable(version: Version) -> None:
    (version.path / "manifest.json").write_text("{}")


@pytest.mark.parametrize("damage", [_damaged, _missing, _unreadable])
def test_a_version_that_cannot_be_loaded_is_reported_in_one_line_without_a_path(
    tmp_path: Path, damage: Callable[[Version], None], caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path)
    damage(Store(tmp_path).open(1))
    with serving(tmp_path) as service:
        until(lambda: "being loaded" not in service.client.get("/health/ready").text)
        ready = service.client.get("/health/ready")

    assert ready.status_code == 503
    assert "version 1 can't be used" in ready.json()["detail"]
    assert str(tmp_path) not in ready.text
    (record,) = [record for record in caplog.records if record.name.startswith("app.")]
    assert "\n" not in record.getMessage()
    assert record.exc_info is None


def test_what_the_machine_says_of_a_failure_stays_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(version: Version) -> object:
        raise OSError(f"cannot map\n{version.path}")

    publish(tmp_path)
    monkeypatch.setattr(Version, "load", fail)
    with serving(tmp_path) as service:
        until(lambda: "being loaded" not in service.client.get("/health/ready").text)
        detail = service.client.get("/health/ready").json()["detail"]

    assert detail == "the model can't be loaded; the log has the reason"
    assert f"cannot map {tmp_path / '1'}" in caplog.text


def test_the_model_is_described_by_its_manifest(service: Service) -> None:
    model = service.client.get("/model").json()

    assert model["version"] == 1
    assert model["classes"] == ["cat", "dog"]
    assert model["architecture"] == {
        "name": "VGG16",
        "width": TINY.width,
        "head": "pooled",
        "parameters": Architecture(2, TINY.width).parameters,
        "multiply_adds": Architecture(2, TINY.width).multiply_adds,
    }
    assert model["precision"] in {"f32", "bf16"}
    assert model["created"] == "2026-03-01T12:00:00Z"
    assert model["metrics"]["validation"]["photos"] == 100
    assert model["training"]["strategy"] == "full"


def test_the_model_says_how_it_does_in_int8(tmp_path: Path) -> None:
    did = Quantization(
        weights="0" * 64,
        graph="1" * 64,
        calibration_photos=300,
        photos=1000,
        f32=Measured(accuracy=0.979, log_loss=0.0536),
        int8=Measured(accuracy=0.97, log_loss=0.06),
        largest_difference=0.11,
        golden=Golden(pictures=golden.fingerprint(), probabilities=((1.0, 0.0),) * 4),
        serves=False,
        reason="int8 does not serve, for it loses more than 0.2 points of accuracy",
    )
    publish(tmp_path)
    manifest = tmp_path / "1" / "manifest.json"
    known = Manifest.from_json(manifest.read_bytes())
    did = did.model_copy(update={"weights": known.weights.sha256})
    manifest.write_text(known.model_copy(update={"quantization": did}).to_json())

    with serving(tmp_path) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        model = service.client.get("/model").json()

    assert model["precision"] != "int8"
    assert model["int8"] == {
        "serves": False,
        "reason": did.reason,
        "photos": 1000,
        "accuracy": 0.97,
        "accuracy_f32": 0.979,
        "log_loss": 0.06,
        "log_loss_f32": 0.0536,
        "largest_difference": 0.11,
    }


def test_the_model_does_not_tell_the_paths_of_who_trained_it(service: Service) -> None:
    assert "/home/someone" not in service.client.get("/model").text


def test_any_classes_are_served(tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path, ("cat", "dog", "fox"))
    with serving(tmp_path) as service:
        until(lambda: service.client.get("/health/ready").is_success)

        assert list(service.client.post("/predict", files={"file": jpeg}).json()["probabilities"]) == [
            "cat",
            "dog",
            "fox",
        ]


def test_a_service_without_a_model_takes_the_first_that_is_published(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        until(lambda: "no version is in service" in service.client.get("/health/ready").json()["detail"])

        publish(tmp_path)

        until(lambda: service.client.get("/health/ready").is_success)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/model"])
def test_a_monitor_may_ask_for_the_head_alone(service: Service, path: str) -> None:
    answer = service.client.head(path)

    assert answer.status_code == 200
    assert answer.content == b""
