"""What the service says of photos that are like none of the classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catdog import images, unknown
from catdog.engines.openvino import OpenVINOEngine
from catdog.manifest import Neither, Unknown
from catdog.store import Store
from tests.app.service import Service, publish, serving
from tests.waiting import until

NEITHER = Neither(photos=250, told=0.7, data="the test photos", kept=0.95, auroc=0.94)


def answers(tmp_path: Path, jpeg: bytes, known: Unknown | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """To /predict and to /model, by a version with such a measure."""
    publish(tmp_path, unknown=known)
    with serving(tmp_path) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        return ask(service, jpeg), service.client.get("/model").json()


def ask(service: Service, photo: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = service.client.post("/predict", files={"file": photo}).raise_for_status().json()
    return answer


@pytest.mark.parametrize(("threshold", "is_unknown"), [(0.0, False), (1e9, True)])
def test_a_photo_below_the_threshold_is_unknown_and_keeps_its_probabilities(
    tmp_path: Path, jpeg: bytes, threshold: float, is_unknown: bool
) -> None:
    known = Unknown(usual_length=2.0, threshold=threshold, photos=100, kept=0.95, neither=NEITHER)

    answer, model = answers(tmp_path, jpeg, known)

    engine = OpenVINOEngine(Store(tmp_path).open(1).network())
    features = engine.infer(images.decode(jpeg)[np.newaxis]).features
    assert answer["unknown"] is is_unknown
    assert answer["familiarity"] == pytest.approx(unknown.familiarity(features, 2.0)[0], rel=1e-5)
    assert answer["probability"] == max(answer["probabilities"].values())
    assert model["unknown"] == {
        "threshold": threshold,
        "kept": 0.95,
        "photos": 100,
        "neither": {"photos": 250, "told": 0.7, "data": "the test photos", "kept": 0.95, "auroc": 0.94},
    }


def test_a_version_that_cannot_tell_says_so(tmp_path: Path, jpeg: bytes) -> None:
    answer, model = answers(tmp_path, jpeg, None)

    assert (answer["unknown"], answer["familiarity"]) == (False, None)
    assert model["unknown"] is None
