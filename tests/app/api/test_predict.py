import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.settings import Settings
from catdog import images
from catdog.engines.openvino import OpenVINOEngine
from catdog.versions.store import Store
from tests.app.service import HeldEngine, Service, said
from tests.waiting import PATIENCE_SECONDS

MIB = 2**20
LIMIT = Settings.model_fields["max_upload_bytes"].default
RAW = {"Content-Type": "image/jpeg"}


def ask(service: Service, photo: bytes) -> dict[str, Any]:
    response = service.client.post("/predict", files={"file": photo})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_an_answer_names_the_class_its_probability_and_the_version(service: Service, jpeg: bytes) -> None:
    answer = ask(service, jpeg)

    assert list(answer) == [
        "label",
        "probability",
        "probabilities",
        "unknown",
        "familiarity",
        "model_version",
        "prediction_id",
    ]
    assert list(answer["probabilities"]) == ["cat", "dog"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-9)
    assert answer["probability"] == max(answer["probabilities"].values()) == answer["probabilities"][answer["label"]]
    assert answer["model_version"] == 1


@pytest.mark.parametrize("content_type", ["image/jpeg", "image/png", "image/*", "application/octet-stream", None])
def test_raw_bytes_are_answered_like_a_form_whatever_their_type_says(
    service: Service, jpeg: bytes, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}

    response = service.client.post("/predict", content=jpeg, headers=headers)

    assert said(response.json()) == said(ask(service, jpeg))


def test_http_gives_the_probabilities_of_the_engine(service: Service, models_dir: Path, jpeg: bytes) -> None:
    version = Store(models_dir).open(1)
    engine = OpenVINOEngine(version.network())
    logits = engine.infer(images.decode(jpeg)[np.newaxis]).logits
    expected = version.manifest.calibration.probabilities(logits)[0]

    answer = ask(service, jpeg)

    assert 0.01 < expected.min() < 0.49, "probabilities that tell something"
    assert list(answer["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.data
def test_real_photos_get_the_same_probabilities_over_http(
    service: Service, models_dir: Path, shared_data: Path
) -> None:
    version = Store(models_dir).open(1)
    engine = OpenVINOEngine(version.network())
    for path in sorted((shared_data / "originals" / "cat").iterdir())[:5]:
        logits = engine.infer(images.decode(path.read_bytes())[np.newaxis]).logits
        expected = version.manifest.calibration.probabilities(logits)[0]
        answer = ask(service, path.read_bytes())
        assert list(answer["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_photo_of_exactly_the_limit_is_answered(service: Service, jpeg: bytes) -> None:
    largest = jpeg.ljust(LIMIT, b"\0")

    assert LIMIT == 10 * MIB
    expected = said(ask(service, jpeg))
    assert said(ask(service, largest)) == expected
    assert said(service.client.post("/predict", content=largest, headers=RAW).json()) == expected
    assert service.client.post("/predict", files={"file": largest + b"\0"}).status_code == 413
    assert service.client.post("/predict", content=largest + b"\0", headers=RAW).status_code == 413


def test_a_batch_answers_each_photo_in_order(service: Service, jpeg: bytes) -> None:
    photos = [("file", jpeg), ("file", b"no photo"), ("files", jpeg), ("file", b""), ("file", jpeg[:2000])]

    response = service.client.post("/predict/batch", files=photos)

    assert response.status_code == 200
    results = response.json()["results"]
    assert [list(result) for result in results] == [
        ["prediction"],
        ["problem"],
        ["prediction"],
        ["problem"],
        ["problem"],
    ]
    assert said(results[0]["prediction"]) == said(results[2]["prediction"]) == said(ask(service, jpeg))
    problems = [result["problem"]["type"].rpartition(":")[2] for result in results if "problem" in result]
    assert problems == ["unsupported-image", "no-file", "broken-image"]


def test_a_photo_too_large_in_a_batch_leaves_the_others_alone(service: Service, jpeg: bytes) -> None:
    photos = [("file", jpeg.ljust(LIMIT + 1, b"\0")), ("file", jpeg)]

    first, second = service.client.post("/predict/batch", files=photos).json()["results"]

    assert first["problem"]["status"] == 413
    assert said(second["prediction"]) == said(ask(service, jpeg))


def test_an_unexpected_error_in_a_batch_leaves_the_others_alone(
    service: Service, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = images.decode

    def stumble(photo: bytes) -> NDArray[np.uint8]:
        if photo == b"trap":
            raise RuntimeError("secret")
        return decode(photo)

    expected = ask(service, jpeg)
    monkeypatch.setattr(images, "decode", stumble)

    response = service.client.post("/predict/batch", files=[("file", b"trap"), ("file", jpeg)])

    first, second = response.json()["results"]
    assert first["problem"]["status"] == 500
    assert "secret" not in response.text
    assert said(second["prediction"]) == said(expected)


def test_a_batch_of_the_most_photos_is_answered(service: Service, jpeg: bytes) -> None:
    most = Settings.model_fields["max_batch_files"].default

    response = service.client.post("/predict/batch", files=[("file", jpeg)] * most)

    answers = [result["prediction"] for result in response.json()["results"]]
    assert [said(answer) for answer in answers] == [said(ask(service, jpeg))] * most
    assert len({answer["prediction_id"] for answer in answers}) == most


def test_the_service_answers_while_an_inference_runs(service: Service, jpeg: bytes) -> None:
    engine = HeldEngine(service.predictor.champion.engine)
    with service.with_engine(lambda _: engine), ThreadPoolExecutor(1) as elsewhere:
        answer = elsewhere.submit(ask, service, jpeg)
        assert engine.held.wait(PATIENCE_SECONDS)

        assert service.client.get("/health/live").json() == {"live": True}
        assert not answer.done()

        engine.let_go.set()
        assert answer.result()["model_version"] == 1


def test_the_service_answers_while_a_photo_is_decoded(
    service: Service, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, held, let_go = images.decode, threading.Event(), threading.Event()

    def slowly(photo: bytes) -> NDArray[np.uint8]:
        held.set()
        assert let_go.wait(PATIENCE_SECONDS)
        return decode(photo)

    monkeypatch.setattr(images, "decode", slowly)
    with ThreadPoolExecutor(1) as elsewhere:
        answer = elsewhere.submit(ask, service, jpeg)
        assert held.wait(PATIENCE_SECONDS)

        assert service.client.get("/health/live").json() == {"live": True}

        let_go.set()
        assert answer.result()["model_version"] == 1
