"""Class activation maps: where in the photo the class is seen."""

from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.serving.class_activation import heat_map
from app.serving.prediction import Prediction
from app.web import uploads
from catdog import images
from catdog.engines.openvino import OpenVINOEngine
from catdog.versions.store import Store
from tests.app.service import Service, publish, said, serving
from tests.app.web.test_problem_details import check
from tests.waiting import until


@pytest.fixture(scope="module")
def exact(models_dir: Path) -> Iterator[Service]:
    """Settings for float32, so that all engines give the same answers."""
    with serving(models_dir, precision="f32", worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


def ask(service: Service, photo: bytes, **query: str) -> dict[str, Any]:
    response = service.client.post("/predict", files={"file": photo}, params=query)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_an_explained_answer_is_the_same_answer_with_a_map(exact: Service, models_dir: Path, jpeg: bytes) -> None:
    explained = ask(exact, jpeg, explain="true")

    explanation = explained.pop("explanation")
    assert said(explained) == said(ask(exact, jpeg))
    engine = OpenVINOEngine(Store(models_dir).open(1).network(), "f32")
    maps = engine.explain(images.decode(jpeg)[np.newaxis]).maps
    place = list(explained["probabilities"]).index(explained["label"])
    assert np.allclose(explanation["activation_map"], maps[0, :, :, place], rtol=1e-4, atol=1e-4)
    assert explanation["against"] == list(explained["probabilities"])[1 - place]
    contrast = maps[0, :, :, place] - maps[0, :, :, 1 - place]
    assert np.allclose(explanation["contrast"], contrast, rtol=1e-4, atol=1e-4)
    assert explanation["png"] is None
    assert np.mean(explanation["activation_map"]) + explanation["bias"] == pytest.approx(explanation["logit"], rel=1e-4)


def test_among_several_classes_the_contrast_is_to_the_second_most_probable(tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path, ("cat", "dog", "fish", "fox"))
    with serving(tmp_path, precision="f32", worker="none") as several:
        until(lambda: several.client.get("/health/ready").is_success)
        explained = ask(several, jpeg, explain="true")

    by_probability = sorted(explained["probabilities"], key=explained["probabilities"].__getitem__)
    assert [explained["explanation"]["against"], explained["label"]] == by_probability[-2:]


def test_an_answer_is_not_explained_unless_that_is_asked_for(exact: Service, jpeg: bytes) -> None:
    assert "explanation" not in ask(exact, jpeg)
    assert "explanation" not in ask(exact, jpeg, explain="false")


def test_a_map_comes_as_a_picture_to_be_laid_over_the_photo(exact: Service, jpeg: bytes) -> None:
    explanation = ask(exact, jpeg, explain="png")["explanation"]

    picture = Image.open(BytesIO(b64decode(explanation["png"])))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGBA", (224, 224))
    activations = np.array(explanation["activation_map"], np.float32)
    assert np.array_equal(np.asarray(picture), np.asarray(Image.open(BytesIO(heat_map(activations)))))


def test_what_is_for_the_class_is_orange_what_is_against_it_blue_and_the_rest_clear() -> None:
    activations = np.zeros((7, 7), np.float32)
    activations[0, 0], activations[6, 6] = 3, -3

    pixels = np.asarray(Image.open(BytesIO(heat_map(activations))))

    assert pixels[16, 16, 0] > pixels[16, 16, 2]
    assert pixels[207, 207, 2] > pixels[207, 207, 0]
    assert pixels[16, 16, 3] == pixels[207, 207, 3] > 150
    assert pixels[112, 112, 3] == 0


def test_a_map_without_anything_in_it_is_clear() -> None:
    pixels = np.asarray(Image.open(BytesIO(heat_map(np.zeros((7, 7), np.float32)))))

    assert not pixels[..., 3].any()


def test_photos_are_explained_at_once_each_its_own(exact: Service, jpeg: bytes) -> None:
    plain = said(ask(exact, jpeg))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda call: ask(exact, jpeg, explain=("false", "true")[call % 2]), range(24)))

    for call, answer in enumerate(answers):
        assert ("explanation" in answer) == bool(call % 2)
        answer.pop("explanation", None)
        assert said(answer) == plain


def test_another_way_to_explain_is_refused(exact: Service, jpeg: bytes) -> None:
    check(exact.client.post("/predict?explain=yes", files={"file": jpeg}), "invalid-request", 422)


def test_a_classic_head_cannot_be_explained(exact: Service, jpeg: bytes) -> None:
    champion = exact.predictor.champion
    classic = champion.manifest.model_copy(update={"head": "classic"})
    exact.predictor.swap(replace(champion, manifest=classic))
    try:
        check(exact.client.post("/predict?explain=true", files={"file": jpeg}), "not-explainable", 409)
        assert "explanation" not in ask(exact, jpeg)
    finally:
        exact.predictor.swap(champion)


def test_a_classic_head_that_came_during_the_upload_says_that_it_cannot_be_explained(
    exact: Service, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, read = exact.predictor.champion, uploads.read_photo
    classic = champion.manifest.model_copy(update={"head": "classic"})

    async def promoted_meanwhile(*asked: Any) -> bytes:
        exact.predictor.swap(replace(champion, manifest=classic))
        return await read(*asked)

    monkeypatch.setattr(uploads, "read_photo", promoted_meanwhile)
    try:
        check(exact.client.post("/predict?explain=true", files={"file": jpeg}), "not-explainable", 409)
    finally:
        exact.predictor.swap(champion)


def test_what_is_kept_of_an_explained_photo_is_the_answer_alone(models_dir: Path, tmp_path: Path, jpeg: bytes) -> None:
    with serving(models_dir, data_dir=tmp_path / "data", worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        answer = ask(service, jpeg, explain="png")
        (kept,) = service.predictor.uploads.newest()

    assert kept.prediction.prediction_id == answer["prediction_id"]
    assert type(kept.prediction) is Prediction
    assert b"explanation" not in (tmp_path / "data" / "uploads" / answer["prediction_id"]).read_bytes()


def test_an_explained_photo_is_counted_as_answered(tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path)
    with serving(tmp_path, cache_items=10) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        for _ in range(2):
            ask(service, jpeg, explain="true")
        queue = service.client.get("/queue").json()

    assert (queue["answered"], queue["cached"]) == (2, 0)
