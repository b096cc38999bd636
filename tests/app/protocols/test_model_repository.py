"""Versions that are loaded in addition to the champion, used, and unloaded."""

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from catdog.versions.store import Store
from tests.app.api.test_queue import ready
from tests.app.protocols.test_v2 import MODEL, REPOSITORY, check_error, image, output
from tests.app.service import ADMIN, Service, publish
from tests.app.web.test_problem_details import check
from tests.waiting import until


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Service]:
    """A service with a second version in its store."""
    publish(tmp_path)
    publish(tmp_path, ("cat", "dog", "fox"), seed=8)
    with ready(tmp_path) as service:
        yield service


def load(service: Service, verb: str = "load", **asked: Any) -> httpx.Response:
    return service.client.post(f"{REPOSITORY}/{verb}", headers=ADMIN, **asked)


def states(service: Service, **body: Any) -> dict[str, str]:
    entries = service.client.post("/v2/repository/index", json=body).raise_for_status().json()
    return {entry["version"]: entry["state"] for entry in entries}


def test_a_version_is_loaded_in_addition_to_the_champion_and_answers(two: Service, jpeg: bytes) -> None:
    assert states(two) == {"1": "READY", "2": "UNAVAILABLE"}
    check_error(two.client.post(f"{MODEL}/versions/2/infer", json=image(jpeg)), 404, "load?version=N")

    assert load(two, params={"version": 2}).raise_for_status().json()["state"] == "READY"

    assert states(two) == {"1": "READY", "2": "READY"}
    assert two.client.get(f"{MODEL}").json()["versions"] == ["1", "2"]
    assert two.client.get(f"{MODEL}/versions/2").json()["outputs"][0]["shape"] == [-1, 3]
    second = two.client.post(f"{MODEL}/versions/2/infer", json=image(jpeg))
    assert second.json()["model_version"] == "2"
    assert output(second)["shape"] == [1, 3]
    assert two.client.post(f"{MODEL}/infer", json=image(jpeg)).json()["model_version"] == "1"
    assert two.client.post("/predict", content=jpeg).json()["model_version"] == 1


@pytest.mark.parametrize("address", ["/predict", "/predict?explain=true"])
def test_predict_asks_a_loaded_version_by_its_number(two: Service, jpeg: bytes, address: str) -> None:
    asked: dict[str, str] = {"version": "2", **httpx.URL(address).params}
    check(two.client.post("/predict", params=asked, content=jpeg), "version-not-loaded", 404)
    load(two, params={"version": 2}).raise_for_status()

    answer = two.client.post("/predict", params=asked, content=jpeg).raise_for_status().json()

    assert answer["model_version"] == 2
    assert list(answer["probabilities"]) == ["cat", "dog", "fox"]
    assert two.client.post(address, content=jpeg).json()["model_version"] == 1


def test_a_batch_asks_a_loaded_version_by_its_number(two: Service, jpeg: bytes) -> None:
    load(two, params={"version": 2}).raise_for_status()

    answers = two.client.post("/predict/batch?version=2", files=[("file", jpeg)] * 2).raise_for_status().json()

    assert [each["prediction"]["model_version"] for each in answers["results"]] == [2, 2]


@pytest.mark.parametrize("version", [2, "2"])
def test_a_body_may_name_the_version_as_well(two: Service, version: object) -> None:
    assert load(two, json={"parameters": {"version": version}}).is_success
    assert states(two, ready=True) == {"1": "READY", "2": "READY"}

    assert load(two, "unload", json={"parameters": {"version": version}}).is_success
    assert states(two, ready=True) == {"1": "READY"}


def test_a_loaded_version_that_is_promoted_is_not_loaded_again(two: Service) -> None:
    load(two, params={"version": 2}).raise_for_status()
    beside = two.predictor.loaded("2")

    two.client.post("/models/2/promote", headers=ADMIN).raise_for_status()

    assert two.predictor.champion is beside
    assert states(two) == {"1": "UNAVAILABLE", "2": "READY"}
    check_error(load(two, "unload", params={"version": 2}), 409, "version 2 is in service")


def test_a_loaded_version_stays_loaded_after_promotions(two: Service, tmp_path: Path) -> None:
    load(two, params={"version": 2}).raise_for_status()
    for version in (2, 1):
        two.client.post(f"/models/{version}/promote", headers=ADMIN).raise_for_status()

    assert states(two) == {"1": "READY", "2": "READY"}
    assert Store(tmp_path).champion() == 1


def test_loading_the_champion_changes_nothing_and_it_can_not_be_unloaded(two: Service) -> None:
    assert load(two).raise_for_status().json()["version"] == "1"
    for asked in ({}, {"params": {"version": 1}}):
        check_error(load(two, "unload", **asked), 409, "version 1 is in service")

    assert states(two) == {"1": "READY", "2": "UNAVAILABLE"}


@pytest.mark.parametrize(
    ("verb", "asked", "status", "says"),
    [
        ("load", {"params": {"version": 9}}, 404, "there is no version 9; the store holds: 1, 2"),
        ("load", {"params": {"version": "two"}}, 400, "a version is a number, not 'two'"),
        ("load", {"params": {"version": "9" * 5000}}, 400, "a version is a number"),
        ("load", {"json": {"parameters": {"config": "{}"}}}, 400, "the parameter 'config' is not supported"),
        ("load", {"json": {"parameters": {"file:1/model.onnx": "eA=="}}}, 400, "is not supported"),
        ("load", {"json": []}, 400, "object"),
        ("load", {"content": b'{"parameters": {"version": ' + b"9" * 4301 + b"}}"}, 400, ""),
        ("load", {"content": b'{"parameters": {"version": ' + b"9" * 4300 + b"}}"}, 400, "a version is a number"),
        ("load", {"content": bytes(65 * 1024)}, 413, "limit of 65,536 bytes"),
        ("unload", {"params": {"version": 2}}, 404, "version '2' isn't loaded"),
        ("unload", {"params": {"version": 9}}, 404, "version '9' isn't loaded"),
    ],
)
def test_what_can_not_be_loaded_or_unloaded_is_refused_with_the_reason(
    two: Service, verb: str, asked: dict[str, Any], status: int, says: str
) -> None:
    check_error(load(two, verb, **asked), status, says)
    assert states(two) == {"1": "READY", "2": "UNAVAILABLE"}


def test_another_model_can_not_be_loaded(two: Service) -> None:
    check_error(two.client.post("/v2/repository/models/dogcat/load", headers=ADMIN), 404, "no model 'dogcat'")


def test_a_version_that_is_broken_is_not_loaded_and_the_index_says_why(two: Service, tmp_path: Path) -> None:
    (Store(tmp_path).open(2).path / "manifest.json").write_text("{}")

    check_error(load(two, params={"version": 2}), 409, "version 2 can't be used")
    (entry,) = [each for each in two.client.post("/v2/repository/index").json() if each["version"] == "2"]
    assert entry["state"] == "UNAVAILABLE"
    assert "version 2 can't be used" in entry["reason"]


def test_a_version_that_was_deleted_answers_until_it_is_unloaded(two: Service, jpeg: bytes) -> None:
    load(two, params={"version": 2}).raise_for_status()

    two.client.delete("/models/2", headers=ADMIN).raise_for_status()

    assert states(two) == {"1": "READY", "2": "READY"}
    assert two.client.post(f"{MODEL}/versions/2/infer", json=image(jpeg)).is_success
    load(two, "unload", params={"version": 2}).raise_for_status()
    assert states(two) == {"1": "READY"}


def test_the_memory_of_a_version_that_was_unloaded_is_given_back(two: Service) -> None:
    load(two, params={"version": 2}).raise_for_status()
    gone = weakref.ref(two.predictor.loaded("2").engine)

    load(two, "unload", params={"version": 2}).raise_for_status()

    until(lambda: gone() is None)
