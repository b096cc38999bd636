"""TensorFlow Serving's REST API, as documented by TensorFlow."""

import base64
from pathlib import Path
from typing import Any

import pytest

from catdog import images
from tests.app.api.test_queue import ready
from tests.app.protocols.test_v2 import check_error
from tests.app.service import ADMIN, Service, publish, serving
from tests.waiting import until

MODEL = "/v1/models/catdog"
PLACES = [MODEL, f"{MODEL}/versions/1", f"{MODEL}/labels/champion"]


def b64(picture: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(picture).decode()}


def expected(service: Service, jpeg: bytes) -> dict[str, Any]:
    """The answer of `/predict` in this protocol's form."""
    answer = service.client.post("/predict", content=jpeg).raise_for_status().json()
    probabilities = [*answer["probabilities"].values()]
    return {"probabilities": pytest.approx(probabilities, abs=1e-6), "label": answer["label"]}


@pytest.mark.parametrize("place", PLACES)
def test_the_status_says_which_versions_are_loaded(service: Service, place: str) -> None:
    status = service.client.get(place).raise_for_status().json()

    assert status["model_version_status"] == [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
    assert status["ready"] is True


@pytest.mark.parametrize("place", PLACES)
def test_the_metadata_say_what_each_signature_takes(service: Service, place: str) -> None:
    found = service.client.get(f"{place}/metadata").raise_for_status().json()

    assert found["model_spec"] == {"name": "catdog", "signature_name": "", "version": "1"}
    signatures = found["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "pixels", "classify"}
    assert signatures["serving_default"]["inputs"]["image"]["dtype"] == "DT_STRING"
    sizes = [dim["size"] for dim in signatures["pixels"]["inputs"]["pixels"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "224", "224", "3"]
    assert signatures["classify"]["method_name"] == "tensorflow/serving/classify"


@pytest.mark.parametrize("place", PLACES)
def test_rows_are_answered_with_rows(service: Service, jpeg: bytes, place: str) -> None:
    for instances in ([b64(jpeg), b64(jpeg)], [{"image": b64(jpeg)}, {"image": b64(jpeg)}]):
        asked = {"instances": instances, "signature_name": "serving_default"}
        answer = service.client.post(f"{place}:predict", json=asked).raise_for_status().json()

        assert answer == {"predictions": [expected(service, jpeg)] * 2}


def test_columns_are_answered_with_columns(service: Service, jpeg: bytes) -> None:
    row = expected(service, jpeg)
    for inputs in ([b64(jpeg)], {"image": [b64(jpeg)]}):
        answer = service.client.post(f"{MODEL}:predict", json={"inputs": inputs}).raise_for_status().json()

        assert answer == {"outputs": {"probabilities": [row["probabilities"]], "label": [row["label"]]}}


def test_raw_pixels_have_a_signature_of_their_own(service: Service, jpeg: bytes) -> None:
    pixels = images.decode(jpeg).tolist()
    row = expected(service, jpeg)

    rows = service.client.post(f"{MODEL}:predict", json={"signature_name": "pixels", "instances": [pixels]})
    columns = service.client.post(f"{MODEL}:predict", json={"signature_name": "pixels", "inputs": {"pixels": [pixels]}})

    assert rows.raise_for_status().json() == {"predictions": [row]}
    assert columns.raise_for_status().json()["outputs"]["label"] == [row["label"]]


@pytest.mark.parametrize("signature", [{}, {"signature_name": "classify"}, {"signature_name": "serving_default"}])
def test_classes_come_with_their_probabilities(service: Service, jpeg: bytes, signature: dict[str, str]) -> None:
    cat, dog = service.client.post("/predict", content=jpeg).json()["probabilities"].values()

    answer = service.client.post(f"{MODEL}:classify", json={"examples": [{"image": b64(jpeg)}], **signature})

    near = [["cat", pytest.approx(cat, abs=1e-6)], ["dog", pytest.approx(dog, abs=1e-6)]]
    assert answer.raise_for_status().json() == {"results": [near]}


def test_what_curl_sends_by_default_is_accepted(service: Service) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    response = service.client.post(f"{MODEL}:predict", content=b'{"instances": []}', headers=headers)

    check_error(response, 400, "no picture")


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/v1/models/half", 404, "there is no model 'half'; the only model is catdog"),
        (f"{MODEL}/versions/9", 404, "version '9' isn't loaded; loaded versions: 1"),
        (f"{MODEL}/labels/stable", 400, "there is no label 'stable'; the only label is champion"),
        (f"{MODEL}:regress", 404, "there is no model 'catdog:regress'"),
        ("/v1/nothing", 404, "there is no such address"),
    ],
)
def test_an_unknown_address_is_answered_in_the_protocol_s_form(
    service: Service, path: str, status: int, says: str
) -> None:
    check_error(service.client.get(path), status, says)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "send either `instances` or `inputs`"),
        ({"instances": [], "inputs": []}, "send either"),
        ({"instances": []}, "no picture"),
        ({"instances": {"b64": "eA=="}}, "instances is a list, not {'b64': 'eA=='}"),
        ({"instances": ["eA=="]}, "'eA==' is not an object with b64 alone"),
        ({"instances": [{"b64": "%"}]}, "'%' is not base64"),
        ({"instances": [{"b64": 7}]}, "base64 in a string, not 7"),
        ({"instances": [{"b64": ""}]}, "picture 1 of 1 is empty"),
        ({"instances": [{"b64": "eA=="}]}, "picture 1 of 1: the bytes are not an image"),
        ({"instances": [{"photo": {"b64": "eA=="}}]}, "is not an object with image alone"),
        ({"inputs": {"b64": "eA=="}}, "inputs is a list, or an object with a list image"),
        ({"inputs": {"image": "eA=="}}, "inputs is a list"),
        ({"instances": [[[[0, 0, 0]]]]}, "is not an object with b64 alone"),
        ({"instances": [0], "signature_name": "logits"}, "there is no signature 'logits' for this"),
        ({"instances": [0], "signature_name": 7}, "signature_name"),
        ({"instances": [[[[0, 0, 0]]]], "signature_name": "pixels"}, "instead of a list of 224"),
        ({"instances": [b64(b"x")], "signature_name": "pixels"}, "have a list of 1 instead of a list of 150,528"),
    ],
)
def test_an_invalid_predict_request_is_refused_with_the_reason(
    service: Service, asked: dict[str, Any], says: str
) -> None:
    check_error(service.client.post(f"{MODEL}:predict", json=asked), 400, says)


@pytest.mark.parametrize("verb", ["predict", "classify"])
@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[]", b"{}", b'{"instances": [{"image_bytes": {"b64": "eA=="}}]}']
)
def test_a_body_that_is_refused_is_answered_with_one_that_can_be_sent(
    service: Service, verb: str, content: bytes
) -> None:
    said = service.client.post(f"{MODEL}:{verb}", content=content).json()["error"]
    example = said.partition("send JSON such as ")[2]

    assert service.client.post(f"{MODEL}:{verb}", content=example).is_success


def test_numbers_without_their_signature_are_refused_with_its_name(service: Service) -> None:
    refused = service.client.post(f"{MODEL}:predict", json={"instances": [[[[0.5, 0.5, 0.5]] * 224] * 224]})

    check_error(refused, 400, 'for numbers from 0 to 255 add "signature_name": "pixels"')
    assert len(refused.text) < 500


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"not json", "Invalid JSON"), (b"[]", "object"), (b'{"instances": ' + b"[" * 100_000, "recursion limit")],
)
def test_a_body_that_is_not_a_request_is_refused_with_the_reason(service: Service, content: bytes, says: str) -> None:
    check_error(service.client.post(f"{MODEL}:predict", content=content), 400, says)


@pytest.mark.parametrize("asked", [{}, {"examples": []}, {"examples": ["x"]}, {"examples": [{"image": "x"}]}])
def test_an_invalid_classify_request_is_refused_with_the_reason(service: Service, asked: dict[str, Any]) -> None:
    check_error(service.client.post(f"{MODEL}:classify", json=asked), 400, "")


def test_a_service_without_a_champion_is_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        until(lambda: "being loaded" not in service.client.get("/health/ready").text)

        check_error(service.client.get(MODEL), 503, "no version is in service")


def test_a_version_that_was_loaded_is_asked_by_its_number(tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path)
    publish(tmp_path, ("cat", "dog", "fox"), seed=8)
    with ready(tmp_path) as service:
        asked = {"instances": [b64(jpeg)]}
        check_error(service.client.post(f"{MODEL}/versions/2:predict", json=asked), 404, "isn't loaded")
        load = "/v2/repository/models/catdog/load?version=2"
        service.client.post(load, headers=ADMIN).raise_for_status()

        (row,) = service.client.post(f"{MODEL}/versions/2:predict", json=asked).raise_for_status().json()["predictions"]
        assert len(row["probabilities"]) == 3
        for place, versions in (("", ["1", "2"]), ("/versions/2", ["2"]), ("/labels/champion", ["1"])):
            status = service.client.get(MODEL + place).raise_for_status().json()["model_version_status"]
            assert [each["version"] for each in status] == versions
