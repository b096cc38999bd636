"""The Open Inference Protocol over HTTP."""

import base64
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

import catdog
from catdog import images
from tests.app.api.test_queue import connect, head, queue, ready, watched
from tests.app.service import Service, serving
from tests.app.watching import WatchedDecoding, photo
from tests.app.web.connections.test_disconnect import leave
from tests.waiting import until

MIB = 2**20
HEADER = "Inference-Header-Content-Length"
MODEL = "/v2/models/catdog"
REPOSITORY = "/v2/repository/models/catdog"


def image(*pictures: bytes, **more: Any) -> dict[str, Any]:
    data = [base64.b64encode(picture).decode() for picture in pictures]
    return {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [len(data)], "data": data}], **more}


def raw(*pictures: bytes) -> tuple[bytes, dict[str, str]]:
    """A body with binary data, and its headers."""
    pixels = np.stack([images.decode(picture) for picture in pictures])
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": pixels.shape}
    text = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": pixels.nbytes}}]}).encode()
    return text + pixels.tobytes(), {HEADER: str(len(text))}


def output(response: httpx.Response, name: str = "probabilities") -> dict[str, Any]:
    outputs = response.raise_for_status().json()["outputs"]
    (found,) = [dict(each) for each in outputs if each["name"] == name]
    return found


def check_error(response: httpx.Response, status: int, says: str) -> None:
    """Check the form that all errors of the protocol have."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert list(response.json()) == ["error"]
    assert says in response.json()["error"]


def test_the_server_and_its_model_are_described(service: Service) -> None:
    server = service.client.get("/v2").raise_for_status().json()
    model = service.client.get(MODEL).raise_for_status().json()

    assert (server["name"], server["version"]) == ("catdog", catdog.__version__)
    assert {"binary_tensor_data", "classification", "model_repository"} <= set(server["extensions"])
    assert (model["name"], model["versions"], model["platform"]) == ("catdog", ["1"], "openvino")
    assert model["inputs"] == [
        {"name": "image", "datatype": "BYTES", "shape": [-1]},
        {"name": "pixels", "datatype": "UINT8", "shape": [-1, 224, 224, 3]},
    ]
    assert model["outputs"] == [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
    ]
    assert service.client.get(f"{MODEL}/versions/1").json() == model


def test_a_service_that_is_ready_says_so(service: Service) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert service.client.get(path).raise_for_status().json() == {"live": True, "ready": True}
    for path in (f"{MODEL}/ready", f"{MODEL}/versions/1/ready"):
        assert service.client.get(path).raise_for_status().json() == {"name": "catdog", "ready": True}


def test_a_service_without_a_champion_is_live_and_not_ready(tmp_path: Path, jpeg: bytes) -> None:
    with serving(tmp_path) as service:
        until(lambda: "being loaded" not in service.client.get("/v2/health/ready").text)

        assert service.client.get("/v2/health/live").json() == {"live": True, "ready": False}
        for path in ("/v2/health/ready", f"{MODEL}/ready", MODEL):
            check_error(service.client.get(path), 503, "no version is in service")
        response = service.client.post(f"{MODEL}/infer", json=image(jpeg))
        check_error(response, 503, "no version is in service")
        assert response.headers["Retry-After"] == "1"


def test_a_service_that_is_about_to_end_is_not_ready(models_dir: Path) -> None:
    with ready(models_dir) as service:
        service.app.state.shutdown.begin()

        assert service.client.get("/v2/health/live").json() == {"live": True, "ready": False}
        check_error(service.client.get("/v2/health/ready"), 503, "shutting down")


def test_encoded_and_raw_pictures_get_the_answers_of_predict(service: Service, jpeg: bytes) -> None:
    expected = service.client.post("/predict", content=jpeg).json()
    body, headers = raw(jpeg, jpeg)

    encoded = service.client.post(f"{MODEL}/infer", json=image(jpeg, id="7"))
    pixels = service.client.post(f"{MODEL}/versions/1/infer", content=body, headers=headers)

    assert encoded.json()["id"] == "7"
    assert (encoded.json()["model_name"], encoded.json()["model_version"]) == ("catdog", "1")
    assert output(encoded, "label")["data"] == [expected["label"]]
    probabilities = [*expected["probabilities"].values()]
    assert output(encoded)["data"] == pytest.approx(probabilities, abs=1e-6)
    assert output(pixels)["shape"] == [2, 2]
    assert output(pixels)["data"] == pytest.approx(probabilities * 2, abs=1e-6)


def test_binary_answers_follow_their_json(service: Service, jpeg: bytes) -> None:
    asked = image(jpeg, parameters={"binary_data_output": True})

    response = service.client.post(f"{MODEL}/infer", json=asked).raise_for_status()

    assert response.headers["Content-Type"] == "application/octet-stream"
    length = int(response.headers[HEADER])
    probabilities, label = json.loads(response.content[:length])["outputs"]
    assert probabilities["parameters"]["binary_data_size"] == 8
    assert sum(struct.unpack("<2f", response.content[length : length + 8])) == pytest.approx(1, abs=1e-6)
    assert len(response.content) == length + 8 + label["parameters"]["binary_data_size"]


def test_raw_pixels_go_through_the_queue_undecoded(service: Service, jpeg: bytes, decoding: WatchedDecoding) -> None:
    before = queue(service)
    body, headers = raw(jpeg, jpeg, jpeg)
    decoding.begun.clear()

    service.client.post(f"{MODEL}/infer", content=body, headers=headers).raise_for_status()

    after = queue(service)
    assert after["answered"] - before["answered"] == 3
    assert after["depth"] == 0
    assert decoding.begun == []


def test_encoded_pictures_are_kept_and_known_again_and_raw_ones_are_not(models_dir: Path, tmp_path: Path) -> None:
    body, headers = raw(photo(1))
    with ready(models_dir, data_dir=tmp_path, cache_items=5) as service:
        for _ in range(2):
            service.client.post(f"{MODEL}/infer", content=body, headers=headers).raise_for_status()
        kept = [*service.predictor.uploads.newest()]
        for _ in range(2):
            service.client.post(f"{MODEL}/infer", json=image(photo(1))).raise_for_status()

        assert kept == []
        assert len([*service.predictor.uploads.newest()]) == 2
        assert queue(service)["cached"] == 1


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b"{}", b'{"inputs": []}', b'{"instances": [1]}'])
def test_a_body_that_is_refused_is_answered_with_one_that_can_be_sent(service: Service, content: bytes) -> None:
    said = service.client.post(f"{MODEL}/infer", content=content).json()["error"]
    example = said.partition("send JSON such as ")[2]

    assert service.client.post(f"{MODEL}/infer", content=example).is_success


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/v2/", 404, "there is no such address"),
        ("/v2/nothing", 404, "there is no such address"),
        ("/v2/repository/index", 405, "method"),
        ("/v2/models/dogcat", 404, "there is no model 'dogcat'; the only model is catdog"),
        ("/v2/models/dogcat/ready", 404, "there is no model 'dogcat'"),
        (f"{MODEL}/versions/9", 404, "version '9' isn't loaded; loaded versions: 1"),
        (f"{MODEL}/versions/x/ready", 404, "version 'x' isn't loaded"),
    ],
)
def test_an_unknown_address_is_answered_in_the_protocol_s_form(
    service: Service, path: str, status: int, says: str
) -> None:
    check_error(service.client.get(path), status, says)


def test_a_request_of_another_site_is_refused_in_the_protocol_s_form(service: Service) -> None:
    response = service.client.post(f"{MODEL}/infer", headers={"Origin": "https://evil.example"})

    check_error(response, 403, "evil.example")


@pytest.mark.parametrize(
    ("content", "headers", "status", "says"),
    [
        (b"", {}, 400, "Invalid JSON"),
        (b"[" * 100_000, {}, 400, "recursion limit"),
        (b"{}", {HEADER: "-1"}, 400, HEADER),
        (b"{}", {HEADER: "9" * 5000}, 400, HEADER),
        (b"{}", {HEADER: "3"}, 400, "a body of 2 bytes"),
        (b"{}", {"Content-Encoding": "br"}, 415, "Content-Encoding 'br'"),
        (bytes(65 * MIB), {}, 413, "limit of 67,108,864 bytes"),
    ],
)
def test_a_malformed_body_is_answered_in_the_protocol_s_form(
    service: Service, content: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    check_error(service.client.post(f"{MODEL}/infer", content=content, headers=headers), status, says)


def test_a_picture_that_is_wrong_is_named(service: Service, jpeg: bytes) -> None:
    response = service.client.post(f"{MODEL}/infer", json=image(jpeg, b"no photo"))

    check_error(response, 400, "picture 2 of 2: the bytes are not an image")


def test_too_many_and_too_large_pictures_are_refused_as_in_a_batch(service: Service) -> None:
    check_error(service.client.post(f"{MODEL}/infer", json=image(*[b"a"] * 65)), 422, "more than 64 photos")
    check_error(service.client.post(f"{MODEL}/infer", json=image(bytes(11 * MIB))), 413, "limit of 10,485,760 bytes")


def test_keys_are_asked_for_before_a_body(models_dir: Path, jpeg: bytes) -> None:
    key = {"Authorization": "Bearer a key for predictions"}
    with serving(models_dir, predict_key=SecretStr("a key for predictions")) as service:
        until(lambda: service.client.get("/v2/health/ready").is_success)
        for path in (f"{MODEL}/infer", "/v2/repository/index", "/v2/models/dogcat/infer"):
            check_error(service.client.post(path, content=bytes(65 * MIB)), 401, "needs the predict key")
        for verb in ("load", "unload"):
            check_error(service.client.post(f"{REPOSITORY}/{verb}", headers=key), 401, "needs the admin key")

        assert service.client.get(f"{MODEL}/ready").is_success
        assert service.client.post(f"{MODEL}/infer", json=image(jpeg), headers=key).is_success


def test_a_full_queue_refuses_before_a_body_is_asked_for(models_dir: Path) -> None:
    with ready(models_dir, queue_items=1) as service, ThreadPoolExecutor(1) as elsewhere, watched(service) as engine:
        first = elsewhere.submit(service.client.post, f"{MODEL}/infer", json=image(photo(0)))
        until(lambda: engine.seen == [0])

        with connect(service) as connection:
            connection.sendall(head(f"{MODEL}/infer", 10, "Expect: 100-continue"))
            answer = connection.recv(10_000)

        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: " in answer.lower()
        engine.let_go.set()
        assert first.result().status_code == 200


def test_raw_pixels_of_a_client_that_has_gone_never_reach_the_engine(models_dir: Path) -> None:
    body, headers = raw(photo(1))
    with ready(models_dir) as service, ThreadPoolExecutor(1) as elsewhere, watched(service) as engine:
        first = elsewhere.submit(service.client.post, "/predict", content=photo(0))
        until(lambda: engine.seen == [0])
        leaving = connect(service)
        leaving.sendall(head(f"{MODEL}/infer", len(body), f"{HEADER}: {headers[HEADER]}") + body)
        until(lambda: queue(service)["depth"] == 2)

        leave(leaving, reset=True)
        until(lambda: queue(service)["depth"] == 1)
        engine.let_go.set()
        assert first.result().status_code == 200

        assert engine.seen == [0]


def test_raw_pixels_that_have_no_answer_in_time_are_dropped(models_dir: Path) -> None:
    body, headers = raw(photo(1))
    with ready(models_dir, deadline_seconds=0.2) as service, watched(service):
        response = service.client.post(f"{MODEL}/infer", content=body, headers=headers)

    check_error(response, 503, "no answer within 0.2 seconds")
