"""Routes that are built by the first request for one of them."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.deferred_routes import DeferredRoutes
from tests.app.service import ADMIN, Service, serving
from tests.places import ROOT
from tests.waiting import until

IMPORTED = """
import sys
from app import main
from app.settings import Settings
main.create_app(Settings(admin_key='x' * 16), defers=True)
print(*[name for name in main.LATER if name in sys.modules])
"""


@pytest.fixture
def deferred(models_dir: Path, tmp_path: Path) -> Iterator[Service]:
    """A ready service whose later routes aren't built yet."""
    with serving(models_dir, defers=True, data_dir=tmp_path, worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        yield service


def waits(service: Service) -> bool:
    """Whether routes still wait to be built."""
    return any(isinstance(route, DeferredRoutes) for route in service.app.router.routes)


def addresses(app: FastAPI) -> list[str]:
    return [getattr(route, "path", "") for route in app.router.routes]


def test_a_service_starts_without_the_modules_of_later_routes() -> None:
    ran = subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120)

    assert (ran.returncode, ran.stdout) == (0, "\n"), ran.stderr


@pytest.mark.parametrize("path", ["/health/live", "/metrics", "/"])
def test_early_routes_leave_the_others_waiting(deferred: Service, path: str) -> None:
    assert deferred.client.get(path).is_success
    assert waits(deferred)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/models", 200),
        ("GET", "/openapi.json", 200),
        ("HEAD", "/datasets", 200),
        ("GET", "/v2/health/live", 200),
        ("GET", "/nothing", 404),
        ("PUT", "/feedback", 405),
        ("DELETE", "/models/1", 409),
    ],
)
def test_any_other_request_builds_them_and_is_answered(deferred: Service, method: str, path: str, status: int) -> None:
    assert waits(deferred)
    assert deferred.client.request(method, path).status_code == status
    assert not waits(deferred)


def test_the_routes_and_their_document_are_then_the_same_as_without_deferring(
    deferred: Service, service: Service
) -> None:
    document = deferred.client.get("/openapi.json").json()

    assert addresses(deferred.app) == addresses(service.app)
    assert document == service.client.get("/openapi.json").json()


def test_many_first_requests_at_once_are_all_answered(deferred: Service) -> None:
    paths = ["/models", "/datasets", "/retrain", "/v2", "/keys", "/review"] * 4
    with ThreadPoolExecutor(len(paths)) as pool:
        statuses = [*pool.map(lambda path: deferred.client.get(path).status_code, paths)]

    assert set(statuses) == {200}
