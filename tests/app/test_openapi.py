import re
from typing import Any

import pytest

from app.errors import NotReady, Unauthorized
from app.problems import EVERYWHERE, KINDS, UNEXPECTED
from app.routes.predict import IMAGE_ERRORS, UPLOAD_ERRORS
from tests.app.service import Service

PROBLEM = "application/problem+json"
PHOTO_ERRORS = {*IMAGE_ERRORS, *UPLOAD_ERRORS, NotReady, Unauthorized}
ANYWHERE = {"403", "421", "500"}


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    described: dict[str, Any] = service.client.get("/openapi.json").json()
    return described


def test_the_documentation_opens(service: Service) -> None:
    assert "/openapi.json" in service.client.get("/docs").text


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))

    assert references <= set(document["components"]["schemas"])
    assert "Problem" in references


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
        ("/predict", "post", {"200", "401", "408", "413", "415", "422", "503"}),
        ("/predict/batch", "post", {"200", "401", "408", "413", "415", "422", "503"}),
        ("/model", "get", {"200", "401", "503"}),
        ("/queue", "get", {"200", "401"}),
        ("/models", "get", {"200", "401"}),
        ("/models/{version}", "get", {"200", "401", "404", "409", "422"}),
        ("/models/{version}", "delete", {"204", "401", "404", "409", "422"}),
        ("/models/{version}/report", "get", {"200", "401", "404", "409", "422"}),
        ("/models/{version}/promote", "post", {"200", "401", "404", "409", "422"}),
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
    described = {
        (method, path, status): set(response["content"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for status, response in operation["responses"].items()
        if int(status) >= 400
    }

    assert len(described) > 100
    assert [place for place, kinds in described.items() if kinds != {PROBLEM}] == []


def test_whatever_stores_something_describes_a_full_disk(document: dict[str, Any]) -> None:
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
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["paths"]["/rollback"]["post"]["security"] == [{"key": []}]
    assert "security" not in document["paths"]["/health/ready"]["get"]
