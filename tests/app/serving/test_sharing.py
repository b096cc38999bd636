"""Pages of other origins that may use the service, as their browsers ask it (the Fetch standard's CORS protocol)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.service import ADMIN, Service, serving
from tests.app.web.test_problem_details import check
from tests.waiting import until

PAGE = "https://app.example.com"


@pytest.fixture(scope="module")
def shared(models_dir: Path) -> Iterator[Service]:
    with serving(models_dir, cors_origins=(PAGE, "null"), keep_uploads=0) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


@pytest.mark.parametrize("origin", [PAGE, "null"])
def test_a_page_of_a_listed_origin_reads_its_answer(shared: Service, jpeg: bytes, origin: str) -> None:
    answer = shared.client.post("/predict", files={"file": jpeg}, headers={"Origin": origin})

    assert answer.is_success
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Vary"] == "Origin"
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [("POST", "/predict", "content-type"), ("DELETE", "/models/1", "authorization"), ("POST", "/rollback", "x-more")],
)
def test_a_preflight_needs_no_key(shared: Service, method: str, path: str, wanted: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": wanted}

    answer = shared.client.options(path, headers={"Origin": PAGE, **asked})

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert method in answer.headers["Access-Control-Allow-Methods"]
    assert wanted in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("method", "path", "host", "status"),
    [
        ("POST", "/rollback", "localhost", 401),
        ("GET", "/nowhere", "localhost", 404),
        ("PUT", "/predict", "localhost", 405),
        ("POST", "/predict/batch", "localhost", 415),
        ("GET", "/model", "rebound.example", 421),
    ],
)
def test_a_page_reads_why_it_is_refused(shared: Service, method: str, path: str, host: str, status: int) -> None:
    answer = shared.client.request(method, path, headers={"Origin": PAGE, "Host": host})

    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


def test_a_page_reads_that_its_photo_is_too_large(models_dir: Path) -> None:
    with serving(models_dir, cors_origins=(PAGE,), max_upload_bytes=1000) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        headers = {"Content-Type": "image/png", "Origin": PAGE}
        answer = service.client.post("/predict", content=bytes(2000), headers=headers)

    check(answer, "too-large", 413)
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"{PAGE}:8443", "http://app.example.com", f"{PAGE}.evil.example"]
)
def test_another_origin_is_refused_with_the_setting_that_would_allow_it(shared: Service, origin: str) -> None:
    for headers in ({}, {"Access-Control-Request-Method": "POST"}):
        answer = shared.client.options("/predict", headers={"Origin": origin, **headers})

        check(answer, "cross-origin", 403)
        assert f"add {origin} to CATDOG_CORS_ORIGINS" in answer.json()["detail"]
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_from_an_allowed_host_is_answered_with_what_is_missing(models_dir: Path) -> None:
    """A page of another port is another origin: that its host is allowed isn't enough."""
    with serving(models_dir, allowed_hosts=("localhost",)) as service:
        headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
        answer = service.client.options("/predict", headers=headers)

    check(answer, "cross-origin", 403)
    assert "add http://localhost:3000 to CATDOG_CORS_ORIGINS" in answer.json()["detail"]


def test_a_star_shares_with_every_origin_that_has_a_name(models_dir: Path) -> None:
    with serving(models_dir, cors_origins=("*",)) as service:
        answer = service.client.get("/health/live", headers={"Origin": "http://any.example:3000", **ADMIN})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"

        check(service.client.get("/health/live", headers={"Origin": "null"}), "cross-origin", 403)


def test_without_the_setting_no_answer_is_shared(service: Service) -> None:
    assert "Access-Control-Allow-Origin" not in service.client.get("/health/live").headers
