import re
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError

from app.api.predict import IMAGE_ERRORS, UPLOAD_ERRORS
from app.deferred_routes import built
from app.errors import NotExplainable, NotReady, Unauthorized
from app.main import EARLY, LATER
from app.web.problem_kinds import EVERYWHERE, KINDS, UNEXPECTED
from tests.app.service import Service

PROBLEM = "application/problem+json"
PLAIN = "application/json"
PHOTO_ERRORS = {*IMAGE_ERRORS, *UPLOAD_ERRORS, NotReady, Unauthorized, NotExplainable, RequestValidationError}
ANYWHERE = {"403", "421", "429", "500"}


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    described: dict[str, Any] = service.client.get("/openapi.json").json()
    return described


def test_the_documentation_opens(service: Service) -> None:
    assert "/openapi.json" in service.client.get("/docs").text


def test_no_route_is_built_a_second_time(service: Service) -> None:
    made = {id(route) for route in built(EARLY + LATER)}

    assert made < {id(route) for route in service.app.routes}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r"'\$ref': '([^']*)'", str(document)))

    assert references <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert {"#/components/schemas/Problem", "#/components/schemas/Role"} <= references


@pytest.mark.parametrize("schema", ["Prediction", "Explanation", "Problem", "Shift"])
def test_every_field_of_what_is_answered_is_described(document: dict[str, Any], schema: str) -> None:
    fields = document["components"]["schemas"][schema]["properties"]

    assert [name for name, field in fields.items() if "description" not in field] == []


@pytest.mark.parametrize(
    ("path", "content_types"),
    [
        ("/predict", {"multipart/form-data", "image/*", "application/octet-stream"}),
        ("/predict/batch", {"multipart/form-data"}),
    ],
)
def test_the_ways_to_send_a_photo_are_described(document: dict[str, Any], path: str, content_types: set[str]) -> None:
    assert set(document["paths"][path]["post"]["requestBody"]["content"]) == content_types


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/predict", "post", {"200", "401", "404", "408", "409", "413", "415", "422", "503"}),
        ("/predict/batch", "post", {"200", "401", "404", "408", "413", "415", "422", "503"}),
        ("/model", "get", {"200", "401", "503"}),
        ("/queue", "get", {"200", "401"}),
        ("/drift", "get", {"200", "401", "422", "503"}),
        ("/models", "get", {"200", "401"}),
        ("/models/{version}", "get", {"200", "401", "404", "409", "422", "503"}),
        ("/models/{version}", "delete", {"204", "401", "404", "409", "422", "503"}),
        ("/models/{version}/report", "get", {"200", "401", "404", "409", "422", "503"}),
        ("/models/{version}/promote", "post", {"200", "401", "404", "409", "422", "503"}),
        ("/rollback", "post", {"200", "401", "409", "503"}),
        ("/health/ready", "get", {"200", "503"}),
        ("/health/live", "get", {"200"}),
    ],
)
def test_every_answer_is_described(document: dict[str, Any], path: str, method: str, statuses: set[str]) -> None:
    responses = document["paths"][path][method]["responses"]

    assert set(responses) == statuses | ANYWHERE
    assert all(set(responses[status]["content"]) == {PROBLEM} for status in responses if not status.startswith("2"))


def test_every_error_that_is_described_is_a_problem(document: dict[str, Any]) -> None:
    """On the inference protocols' addresses it is an InferenceError."""
    described = {
        (method, path, status): set(response["content"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for status, response in operation["responses"].items()
        if int(status) >= 400
    }

    assert len(described) > 100
    expected = {place: {PLAIN if place[1].startswith(("/v1/", "/v2")) else PROBLEM} for place in described}
    assert described == expected


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/v2", "get", {"200", "401"}),
        ("/v2/health/ready", "get", {"200", "503"}),
        ("/v2/models/{model}", "get", {"200", "401", "404", "422", "503"}),
        ("/v2/models/{model}/versions/{version}/ready", "get", {"200", "404", "422", "503"}),
        ("/v2/models/{model}/infer", "post", {"200", "400", "401", "404", "408", "413", "415", "422", "503"}),
        ("/v2/repository/index", "post", {"200", "400", "401", "408", "413", "415", "422", "503"}),
        (
            "/v2/repository/models/{model}/load",
            "post",
            {"200", "400", "401", "404", "408", "409", "413", "415", "422", "503"},
        ),
        ("/v1/models/{model}", "get", {"200", "400", "401", "404", "422", "503"}),
        ("/v1/models/{model}/labels/{label}/metadata", "get", {"200", "400", "401", "404", "422", "503"}),
        ("/v1/models/{model}:predict", "post", {"200", "400", "401", "404", "408", "413", "415", "422", "503"}),
    ],
)
def test_every_answer_of_an_inference_protocol_is_described(
    document: dict[str, Any], path: str, method: str, statuses: set[str]
) -> None:
    operation = document["paths"][path][method]
    errors = [response["content"][PLAIN] for status, response in operation["responses"].items() if int(status) >= 400]

    assert set(operation["responses"]) == statuses | ANYWHERE
    assert {error["schema"]["$ref"] for error in errors} == {"#/components/schemas/InferenceError"}
    for error in errors:
        assert {tuple(example["value"]) for example in error["examples"].values()} == {("error",)}
    if path.endswith(("/infer", ":predict", ":classify")):
        assert operation["requestBody"]["content"][PLAIN]["example"]


def test_every_address_that_stores_something_describes_a_full_disk(document: dict[str, Any]) -> None:
    for path in ("/datasets/{name}/images", "/datasets/{name}/archive", "/feedback", "/retrain"):
        assert "507" in document["paths"][path]["post"]["responses"]


def test_every_kind_of_problem_of_a_photo_has_an_example(document: dict[str, Any]) -> None:
    responses = document["paths"]["/predict"]["post"]["responses"]
    examples = {
        example["value"]["type"]
        for status, response in responses.items()
        if status != "200"
        for example in response["content"][PROBLEM]["examples"].values()
    }

    assert examples == {kind.type for kind in (*map(KINDS.__getitem__, (*PHOTO_ERRORS, *EVERYWHERE)), UNEXPECTED)}


def test_what_needs_a_key_says_so(document: dict[str, Any]) -> None:
    assert {scheme["scheme"] for scheme in document["components"]["securitySchemes"].values()} == {"bearer"}
    assert document["paths"]["/rollback"]["post"]["security"] == [{"admin-key": ["admin"]}]
    assert document["paths"]["/model"]["get"]["security"] == [{"key": ["predict"]}]
    assert "security" not in document["paths"]["/health/ready"]["get"]


def test_every_example_of_an_inference_protocol_is_answered(service: Service, document: dict[str, Any]) -> None:
    asking = [path for path in document["paths"] if path.endswith(("/infer", ":predict", ":classify"))]
    assert len(asking) == 8

    for path in asking:
        example = document["paths"][path]["post"]["requestBody"]["content"][PLAIN]["example"]
        address = path.format(model="catdog", version="1", label="champion")
        assert service.client.post(address, json=example).is_success, path
