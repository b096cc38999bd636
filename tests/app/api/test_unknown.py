"""Answers to photos that are like none of the classes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catdog import images
from catdog.engines.openvino import OpenVINOEngine
from catdog.errors import BrokenVersion
from catdog.versions import ood
from catdog.versions.measurements import Neighbours, Neither, Unknown
from catdog.versions.ood import Bank
from catdog.versions.store import Store
from tests.app.service import TINY, Service, publish, serving
from tests.app.web.test_problem_details import check
from tests.waiting import until

NEITHER = Neither(photos=250, told=0.7, data="the test photos", kept=0.95, auroc=0.94)
SURE_OF_NONE = ((0.5, 9.0), (0.9, 9.0), (0.95, 0.0))  # thresholds: above every familiarity, and below every one
BANK = Bank(
    np.eye(TINY.features, dtype=np.float32),
    ood.of_length_1(np.random.default_rng(0).random((20, TINY.features), np.float32)),
)


def by_similarity(thresholds: tuple[tuple[float, float], ...] = SURE_OF_NONE) -> Unknown:
    """A detector that compares with the photos of BANK."""
    data = BANK.encoded()
    return Unknown(
        neighbours=Neighbours(
            sha256=sha256(data).hexdigest(), bytes=len(data), photos=20, nearest=3, usual_similarity=0.8
        ),
        threshold=dict(thresholds)[0.95],
        photos=100,
        kept=0.95,
        thresholds=thresholds,
        neither=NEITHER,
    )


@contextmanager
def answering(tmp_path: Path, known: Unknown | None, **settings: Any) -> Iterator[Service]:
    """A service with a version that has such a detector."""
    publish(tmp_path, files={ood.FILE: BANK.encoded()}, unknown=known)
    with serving(tmp_path, **settings) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


def ask(service: Service, photo: bytes, query: str = "") -> dict[str, Any]:
    answer: dict[str, Any] = service.client.post(f"/predict{query}", files={"file": photo}).raise_for_status().json()
    return answer


def of_photo(tmp_path: Path, jpeg: bytes) -> np.ndarray:
    """Features of a photo, from a separate engine."""
    return OpenVINOEngine(Store(tmp_path).open(1).network()).infer(images.decode(jpeg)[np.newaxis]).features


@pytest.mark.parametrize(("threshold", "is_unknown"), [(0.0, False), (1e9, True)])
def test_a_photo_below_the_threshold_is_unknown_and_keeps_its_probabilities(
    tmp_path: Path, jpeg: bytes, threshold: float, is_unknown: bool
) -> None:
    with answering(tmp_path, by_similarity(((0.5, 2e9), (0.95, threshold)))) as service:
        answer, model = ask(service, jpeg), service.client.get("/model").json()
        listed = service.client.get("/models/1").json()

    features = of_photo(tmp_path, jpeg)
    similar = np.sort(ood.of_length_1(features) @ BANK.features.T)[0, -3]
    assert answer["unknown"] is is_unknown
    assert answer["familiarity"] == pytest.approx(similar / 0.8, rel=1e-3)
    assert answer["probability"] == max(answer["probabilities"].values())
    assert model["unknown"] == {
        "measure": "similarity",
        "compared_with": 20,
        "nearest": 3,
        "keep": 0.95,
        "threshold": threshold,
        "kept": 0.95,
        "photos": 100,
        "neither": {"photos": 250, "told": 0.7, "data": "the test photos", "kept": 0.95, "auroc": 0.94},
    }
    assert listed["unknown"] == model["unknown"]


@pytest.mark.parametrize(("threshold", "is_unknown"), [(0.0, False), (1e9, True)])
def test_a_version_of_an_earlier_catdog_goes_on_by_the_length_of_features(
    tmp_path: Path, jpeg: bytes, threshold: float, is_unknown: bool
) -> None:
    with answering(tmp_path, Unknown(usual_length=2.0, threshold=threshold, photos=100, kept=0.95)) as service:
        answer, model = ask(service, jpeg), service.client.get("/model").json()

    assert answer["unknown"] is is_unknown
    assert answer["familiarity"] == pytest.approx(np.linalg.norm(of_photo(tmp_path, jpeg)) / 2, rel=1e-5)
    assert model["unknown"] == {
        "measure": "length",
        "compared_with": None,
        "nearest": None,
        "keep": 0.95,
        "threshold": threshold,
        "kept": 0.95,
        "photos": 100,
        "neither": None,
    }


def test_a_version_that_cannot_tell_says_so(tmp_path: Path, jpeg: bytes) -> None:
    with answering(tmp_path, None) as service:
        answer, model = ask(service, jpeg, "?unknown_keep=0.5"), service.client.get("/model").json()

    assert (answer["unknown"], answer["familiarity"]) == (False, None)
    assert model["unknown"] is None


def test_a_request_may_keep_another_share_on_every_way_to_ask(tmp_path: Path, jpeg: bytes) -> None:
    with answering(tmp_path, by_similarity(), cache_items=4) as service:

        def is_unknown(keep: float | None) -> list[bool]:
            query = "" if keep is None else f"unknown_keep={keep}"
            as_body = service.client.post(f"/predict?{query}", content=jpeg).raise_for_status().json()
            batch = service.client.post(f"/predict/batch?{query}", files=[("file", jpeg)]).raise_for_status().json()
            ways = [
                ask(service, jpeg, f"?{query}"),
                ask(service, jpeg, f"?explain=true&{query}"),
                ask(service, jpeg, f"?explain=png&{query}"),
                as_body,
                batch["results"][0]["prediction"],
            ]
            return [way["unknown"] for way in ways]

        assert is_unknown(None) == [False] * 5
        assert is_unknown(0.9) == [True] * 5
        assert is_unknown(1) == [False] * 5


def test_the_settings_say_which_share_is_kept_where_a_request_does_not(tmp_path: Path, jpeg: bytes) -> None:
    with answering(tmp_path, by_similarity(), unknown_keep=0.9) as service:
        model = service.client.get("/model").json()["unknown"]

        assert ask(service, jpeg)["unknown"]
        assert not ask(service, jpeg, "?unknown_keep=0.95")["unknown"]
        assert (model["keep"], model["threshold"]) == (0.9, 9.0)


def test_a_share_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with answering(tmp_path, None) as service:
        for path in ("/predict", "/predict/batch"):
            for keep in ("0.49", "1.01", "95", "nan", "inf", "all"):
                response = service.client.post(f"{path}?unknown_keep={keep}", content=b"")

                check(response, "invalid-request", 422)
                assert "unknown_keep" in response.json()["detail"]


def test_a_version_whose_training_features_are_not_its_own_is_never_loaded(tmp_path: Path) -> None:
    other = replace(BANK, features=BANK.features[::-1]).encoded()
    publish(tmp_path, files={ood.FILE: BANK.encoded()}, unknown=by_similarity())
    version = Store(tmp_path).open(1)
    file = version.path / ood.FILE

    for damage in (lambda: file.write_bytes(other), lambda: file.write_bytes(other[:-1]), file.unlink):
        damage()
        for use in (version.verify, version.detector, version.network):
            with pytest.raises(BrokenVersion, match=r"training-features\.h5 is "):
                use()
