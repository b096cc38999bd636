import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.service import Service, serving
from tests.app.web.test_problem_details import check

THIS_MACHINE = socket.gethostname()


@pytest.fixture(scope="module")
def named(models_dir: Path) -> Iterator[Service]:
    """A service with a host name."""
    with serving(models_dir, allowed_hosts=("Catdog.example", "*.below.example")) as service:
        yield service


@pytest.fixture(scope="module")
def open_to_all(models_dir: Path) -> Iterator[Service]:
    with serving(models_dir, allowed_hosts=("*",)) as service:
        yield service


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3:8000",
        "[::1]:8000",
        "localhost",
        "LocalHost:8000",
        "localhost.",
        THIS_MACHINE,
        "catdog.example",
        "CATDOG.example.:443",
        "app.below.example",
        "Two.Levels.below.example:8000",
        "",
    ],
)
def test_a_name_of_the_service_is_answered(named: Service, host: str) -> None:
    assert named.client.get("/health/live", headers={"Host": host}).is_success


@pytest.mark.parametrize(
    "host",
    ["rebound.example", "below.example", "notbelow.example", ".below.example",
     "catdog.example.evil.example", "127.0.0.1.evil.example", "2130706433", "[::1", "[x]",
     "a@localhost", "localhost:port", ":8000", ".", "null"],
)  # fmt: skip
def test_another_name_is_refused(named: Service, host: str) -> None:
    response = named.client.get("/health/live", headers={"Host": host})

    check(response, "misdirected-request", 421)
    assert repr(host) in response.json()["detail"]


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("LOCALHOST:8000", "http://localhost:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost", "https://localhost"),  # behind a proxy with TLS
        ("localhost", "https://localhost:443"),
        ("127.0.0.1:8000", "https://catdog.example"),  # behind a proxy that replaces the host
        ("127.0.0.1:8000", "http://catdog.example:3000"),
    ],
)
def test_a_page_of_the_service_may_use_it(named: Service, host: str, origin: str) -> None:
    assert named.client.get("/health/live", headers={"Host": host, "Origin": origin}).is_success


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:3000"),
        ("127.0.0.1:8000", "http://127.0.0.1"),
        ("127.0.0.1:8000", "http://localhost:8000"),
        ("localhost:8000", f"http://{THIS_MACHINE}:3000"),
        ("localhost:8000", "https://evil.example"),
        ("localhost:8000", "http://localhost:8000.evil.example"),
        ("localhost:8000", "http://catdog.example.evil.example"),
        ("localhost:8000", "http://localhost:8000@evil.example"),
        ("localhost:8000", "null"),
        ("localhost:8000", "http://["),
        ("localhost:8000", "http://localhost:port"),
        ("localhost:8000", "localhost:8000"),
        ("", "http://localhost:8000"),
    ],
)
def test_a_page_of_another_site_is_refused(named: Service, host: str, origin: str) -> None:
    response = named.client.get("/health/live", headers={"Host": host, "Origin": origin})

    check(response, "cross-origin", 403)
    assert f"add {origin} to CATDOG_CORS_ORIGINS" in response.json()["detail"]


def test_a_star_allows_every_name_and_site(open_to_all: Service) -> None:
    headers = {"Host": "any.example", "Origin": "https://other.example"}

    assert open_to_all.client.get("/health/live", headers=headers).is_success


@pytest.mark.parametrize("origin", ["null", "http://["])
def test_a_star_is_no_name_for_a_page_that_has_none(open_to_all: Service, origin: str) -> None:
    check(open_to_all.client.get("/health/live", headers={"Origin": origin}), "cross-origin", 403)


def test_a_refused_upload_is_not_read(service: Service) -> None:
    response = service.client.post("/predict", content=bytes(2**20), headers={"Origin": "https://evil.example"})

    check(response, "cross-origin", 403)
