"""A canary answers a share of the clients, until it is promoted, ended or rolled back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.retraining import canary
from catdog.engines.engine import Output
from catdog.versions.store import Store
from tests.app.scraping import scrape
from tests.app.service import ADMIN, HeldEngine, Service, publish, serving
from tests.app.web.test_problem_details import check
from tests.waiting import until

CLIENTS = [str(number) for number in range(40)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "LOOK_SECONDS", 0.02)


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A store with three versions; the third has another class."""
    publish(tmp_path / "models")
    publish(tmp_path / "models", head_seed=8)
    publish(tmp_path / "models", ("cat", "dog", "fish"))
    return tmp_path / "models"


@contextmanager
def ready(models_dir: Path, **settings: Any) -> Iterator[Service]:
    with serving(models_dir, worker="none", **settings) as service:
        service.client.headers.update(ADMIN)
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


def begin(service: Service, share: float = 0.5) -> dict[str, Any]:
    begun: dict[str, Any] = service.client.post("/models/2/canary", json={"share": share}).raise_for_status().json()
    return begun


def state(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get("/canary").raise_for_status().json()["canary"]
    return found


def rolled_back(service: Service) -> list[bool]:
    """Whether each canary that has ended by itself was rolled back, by the audit log."""
    entries = service.client.get("/audit").json()["entries"]
    return [entry["details"]["rolled_back"] for entry in entries if entry["action"] == "end of a canary"]


def asked(service: Service, client: str, photo: bytes) -> int:
    """The version that answers a client."""
    answer = service.client.post("/predict", content=photo, headers={"X-Client-Id": client})
    return int(answer.raise_for_status().json()["model_version"])


def test_a_share_of_the_clients_asks_the_canary_and_each_always_the_same_version(models_dir: Path, jpeg: bytes) -> None:
    with ready(models_dir) as service:
        begin(service)
        versions = {client: asked(service, client, jpeg) for client in CLIENTS}
        mine = {client for client, version in versions.items() if version == 2}
        assert 10 <= len(mine) <= 30
        assert all(asked(service, client, jpeg) == versions[client] for client in CLIENTS[:8])

        client = {"X-Client-Id": min(mine)}
        batch = service.client.post("/predict/batch", files=[("file", jpeg)] * 2, headers=client).json()["results"]
        assert [one["prediction"]["model_version"] for one in batch] == [2, 2]
        chosen = service.client.post("/predict?version=1", content=jpeg, headers=client)
        assert chosen.json()["model_version"] == 1, "a version that a request names answers it"

        begin(service, share=0.9)
        assert all(asked(service, client, jpeg) == 2 for client in mine), "a larger share keeps its clients"

        until(lambda: state(service)["candidate"]["photos"] >= 2 * len(mine) + 2)
        assert state(service)["usual"]["photos"] > 0
        metrics = scrape(service)
        assert metrics.find("catdog_canary_share") == 0.9
        assert (metrics.find("catdog_canary_photos_total", version="2", outcome="answered") or 0) > len(mine)


class FailingEngine(HeldEngine):
    """A real engine that fails."""

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        raise RuntimeError("the graph is gone")


def test_a_canary_that_fails_is_rolled_back_with_the_numbers(models_dir: Path, jpeg: bytes) -> None:
    with ready(models_dir, canary_photos=8) as service:
        begin(service)
        traffic = service.predictor.canary
        assert traffic.candidate is not None
        traffic.candidate = replace(traffic.candidate, engine=FailingEngine(traffic.candidate.engine))

        def ask_all() -> bool:
            for client in CLIENTS:
                service.client.post("/predict", content=jpeg, headers={"X-Client-Id": client})
            return not state(service)["running"]

        until(ask_all)
        found = state(service)
        assert (found["rolled_back"], found["candidate"]["errors"], found["usual"]["errors"]) == (True, 1.0, 0.0)
        assert found["reason"].startswith("errors: 100.0% of ")
        until(lambda: traffic.candidate is None)
        assert {asked(service, client, jpeg) for client in CLIENTS} == {1}
        until(lambda: rolled_back(service) == [True])


def test_a_canary_goes_on_after_a_restart(models_dir: Path, jpeg: bytes) -> None:
    with ready(models_dir) as service:
        begin(service, share=0.999)
        assert asked(service, "1", jpeg) == 2
        until(lambda: state(service)["candidate"]["photos"] == 1)

    with ready(models_dir) as service:
        until(lambda: service.predictor.canary.candidate is not None)
        assert asked(service, "1", jpeg) == 2
        until(lambda: state(service)["candidate"]["photos"] == 2)
        assert Store(models_dir).prune(1) == (), "it is kept"


def test_a_canary_ends_by_hand_by_a_promotion_or_with_its_version(models_dir: Path) -> None:
    with ready(models_dir) as service:
        check(service.client.delete("/canary"), "no-canary", 404)
        begin(service)
        assert service.client.delete("/canary").raise_for_status().json()["reason"] == "it was ended by hand"
        assert service.predictor.canary.candidate is None

        begin(service)
        publish(models_dir, seed=9)
        service.client.post("/models/4/promote").raise_for_status()
        until(lambda: not state(service)["running"])
        assert state(service)["reason"] == "version 4 was put into service"

        begin(service)
        service.client.delete("/models/2").raise_for_status()
        until(lambda: not state(service)["running"])
        assert (state(service)["reason"], state(service)["rolled_back"]) == ("version 2 was deleted", False)


def test_what_cannot_be_a_canary_is_refused(models_dir: Path) -> None:
    publish(models_dir, seed=9)
    with ready(models_dir) as service:

        def answer(version: int, share: Any) -> Any:
            return service.client.post(f"/models/{version}/canary", json={"share": share})

        check(answer(1, 0.1), "version-in-service", 409)
        check(answer(3, 0.1), "other-classes", 409)
        check(answer(9, 0.1), "version-not-found", 404)
        for share in (0, 1, "much"):
            check(answer(2, share), "invalid-request", 422)
        assert service.client.get("/canary").json()["canary"] is None
        begin(service)
        check(answer(4, 0.1), "canary-exists", 409)


def test_a_canary_has_its_own_limits_if_they_were_given(models_dir: Path, jpeg: bytes) -> None:
    """Those of the settings would never judge it."""
    with ready(models_dir, canary_photos=10**6) as service:
        limits = {"photos": 2, "errors": 0.5, "unknown": 0.5, "latency": 0.001}
        service.client.post("/models/2/canary", json={"share": 0.5, "limits": limits}).raise_for_status()
        begin(service, 0.6)
        assert (state(service)["share"], state(service)["limits"]) == (0.6, limits), "a new share keeps them"

        for client in CLIENTS:
            service.client.post("/predict", content=jpeg, headers={"X-Client-Id": client}).raise_for_status()

        until(lambda: state(service)["rolled_back"])
        assert "ms on average against" in state(service)["reason"]
        assert service.client.get("/canary").json()["limits"]["photos"] == 10**6
