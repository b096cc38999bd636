"""Answers while the database doesn't answer, and for texts that it can't store."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.web import keyring
from benchmarks.faults.postgres import hung
from catdog import postgresql
from tests.app.api.test_datasets import picture
from tests.app.service import ADMIN, Service, serving
from tests.app.web.test_problem_details import check
from tests.waiting import PATIENCE_SECONDS, until

SHA256 = "0" * 64


@pytest.fixture
def on_each_database(models_dir: Path, tmp_path: Path, database_url: str) -> Iterator[Service]:
    """Run the test on SQLite and on PostgreSQL."""
    with serving(models_dir, data_dir=tmp_path / "data", database_url=database_url, worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        yield service


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/datasets/%00"),
        ("GET", "/datasets/pets%00"),
        ("GET", f"/datasets/%00/images/{SHA256}"),
        ("DELETE", f"/datasets/%00/images/{SHA256}"),
        ("POST", "/datasets/%00/archive"),
        ("POST", "/datasets/%00/images"),
        ("GET", "/retrain/%00"),
        ("DELETE", "/retrain/%00"),
        ("GET", "/retrain/%00/events"),
        ("GET", "/retrain/%00/log"),
        ("GET", "/retrain/%00/findings"),
    ],
)
def test_an_address_with_a_nul_is_refused(on_each_database: Service, method: str, address: str) -> None:
    check(on_each_database.client.request(method, address), "invalid-request", 422)


def test_a_text_with_a_nul_is_refused(on_each_database: Service, jpeg: bytes) -> None:
    client = on_each_database.client
    for body in ({"dataset": "pets", "notes": "a\0b"}, {"dataset": "pe\0ts"}):
        check(client.post("/retrain", json=body), "invalid-request", 422)
    kept = client.post("/predict", files={"file": jpeg}).json()["prediction_id"]
    said = {"prediction_id": kept, "label": "cat", "dataset": "a\0"}
    check(client.post("/feedback", json=said), "unusable-dataset", 422)

    for data, name in (({"label": "c\0at"}, "unusable-dataset"), ({"label": "\0"}, "unusable-dataset")):
        check(client.post("/datasets/pets/images", data=data, files={"file": jpeg}), name, 422)


def test_a_frozen_server_is_answered_503_and_does_not_hold_the_end_up(
    models_dir: Path, tmp_path: Path, empty_postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "CONNECT_SECONDS", 2)
    url = empty_postgresql_url
    given: dict[str, Any] = {"data_dir": tmp_path / "data", "database_url": url, "worker": "none", "drain_seconds": 1}
    with ExitStack() as until_the_end, ThreadPoolExecutor(1) as elsewhere, serving(models_dir, **given) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        assert service.client.get("/datasets").is_success

        until_the_end.enter_context(hung(url))
        monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 10 * PATIENCE_SECONDS)
        waiting = elsewhere.submit(httpx.get, f"{service.client.base_url}/datasets", timeout=10 * PATIENCE_SECONDS)
        until(lambda: service.app.state.datasets._threads.borrowed_tokens == 1)
        monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 0.1)  # for requests from now on
        for address in ("/datasets", "/retrain"):
            unavailable = service.client.get(address)
            check(unavailable, "database-unavailable", 503)
            assert int(unavailable.headers["Retry-After"]) > 0
        assert service.client.get("/health/ready").is_success
    assert waiting.result().status_code == 503


def test_predictions_with_a_named_key_go_on_and_what_was_acknowledged_stays_while_the_database_hangs(
    models_dir: Path, tmp_path: Path, empty_postgresql_url: str, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("FRESH_SECONDS", 0.0), ("LIMIT_SECONDS", 0.0), ("PATIENCE_SECONDS", 0.1)):
        monkeypatch.setattr(keyring, name, seconds)
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 0.5)
    given: dict[str, Any] = {"data_dir": tmp_path / "data", "database_url": empty_postgresql_url, "worker": "none"}
    with serving(models_dir, **given, key_required=True) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        made = service.client.post("/keys", json={"name": "robot", "role": "predict"}, headers=ADMIN).json()["key"]
        named = {"Authorization": f"Bearer {made}"}

        def add(number: int) -> httpx.Response:
            photo = {"file": picture(number)}
            return service.client.post("/datasets/pets/images", data={"label": "cat"}, files=photo, headers=ADMIN)

        def predict() -> httpx.Response:
            return service.client.post("/predict", files={"file": jpeg}, headers=named)

        assert predict().is_success
        assert add(1).status_code == 201
        with hung(empty_postgresql_url):
            for _ in range(5):
                assert predict().status_code == 200
            refused = add(2)
            assert predict().status_code == 200
        check(refused, "database-unavailable", 503)
        assert int(refused.headers["Retry-After"]) > 0

        until(lambda: add(2).status_code == 201)
        assert service.client.get("/datasets/pets", headers=ADMIN).json()["pictures"] == 2
