"""Hot swaps: which versions take over, by promotion, rollback or the pointer, and which are refused."""

import threading
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from app.serving import hot_swap
from catdog.network.architecture import Network
from catdog.versions import golden
from catdog.versions.manifest import Golden
from catdog.versions.store import Store
from catdog.versions.version import Version
from tests.app.api.test_queue import ready
from tests.app.service import (
    ADMIN,
    TEMPERATURE,
    TINY,
    Service,
    publish,
    random_arrays,
    serving,
)
from tests.app.web.test_problem_details import check
from tests.waiting import PATIENCE_SECONDS, until

WRONG = Golden(pictures=golden.fingerprint(), probabilities=((1.0, 0.0), (0.0, 1.0)) * 2)


def promote(service: Service, version: int) -> httpx.Response:
    return service.client.post(f"/models/{version}/promote", headers=ADMIN)


def roll_back(service: Service) -> httpx.Response:
    return service.client.post("/rollback", headers=ADMIN)


def serves(service: Service) -> int:
    version: int = service.client.get("/model").json()["version"]
    return version


def problem(service: Service) -> str | None:
    told: str | None = service.client.get("/health/ready").json()["problem"]
    return told


def predicted(client: httpx.Client, photo: bytes) -> list[int]:
    return [client.post("/predict", files={"file": photo}).json()["model_version"]]


def test_a_version_with_its_golden_answers_takes_over(tmp_path: Path) -> None:
    publish(tmp_path)
    right = golden.record(Network(TINY, random_arrays(TINY, 8, 8)), TEMPERATURE)
    publish(tmp_path, seed=8, golden=right)
    with ready(tmp_path) as service:
        assert promote(service, 2).json()["version"] == 2


def test_a_version_whose_golden_answers_do_not_come_out_is_refused_and_the_old_serves(
    tmp_path: Path, jpeg: bytes
) -> None:
    publish(tmp_path)
    publish(tmp_path, head_seed=8, golden=WRONG)
    with ready(tmp_path) as service:
        refused = promote(service, 2)

        check(refused, "broken-version", 409)
        assert "version 2 can't be used: its answers are not those" in refused.json()["detail"]
        assert Store(tmp_path).champion() == 1
        assert predicted(service.client, jpeg) == [1]
        assert problem(service) is None


def test_a_damaged_candidate_leaves_the_store_untouched(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    Store(tmp_path).open(2).weights_path.write_bytes(b"not what it was")
    with ready(tmp_path) as service:
        check(promote(service, 2), "broken-version", 409)
        check(promote(service, 3), "version-not-found", 404)
        assert not (tmp_path / "champion").exists()
        assert serves(service) == 1


def test_a_champion_that_cannot_serve_is_reported_and_the_old_one_keeps_serving(
    tmp_path: Path, jpeg: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8, golden=WRONG)
    publish(tmp_path, seed=9)
    with ready(tmp_path) as service:
        caplog.clear()
        Store(tmp_path).promote(2)

        until(lambda: problem(service) is not None)
        assert "version 2 can't be used" in str(problem(service))
        assert predicted(service.client, jpeg) == [1]

        Store(tmp_path).promote(3)

        until(lambda: serves(service) == 3)
        assert problem(service) is None
    (why,) = [record for record in caplog.records if record.name.startswith("app.")]
    assert "keeps serving version 1: version 2 can't be used: " in why.getMessage()


def test_what_could_not_be_loaded_is_tried_again_silently_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = threading.Semaphore(0)
    load_arrays = Version.load

    def counted(version: Version, *names: Any) -> object:
        if version.number == 2:
            tried.release()
        return load_arrays(version, *names)

    publish(tmp_path)
    publish(tmp_path, seed=8)
    weights_path = Store(tmp_path).open(2).weights_path
    weights = weights_path.read_bytes()
    monkeypatch.setattr(hot_swap, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(Version, "load", counted)
    with ready(tmp_path) as service:
        Store(tmp_path).promote(2)
        weights_path.write_bytes(b"not what it was")
        until(lambda: problem(service) is not None)
        for _ in range(3):
            assert tried.acquire(timeout=PATIENCE_SECONDS)

        weights_path.write_bytes(weights)

        until(lambda: serves(service) == 2)
    assert sum("keeps serving version 1" in record.getMessage() for record in caplog.records) == 1


def test_a_moved_pointer_is_followed_within_two_seconds(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    with ready(tmp_path) as service:
        Store(tmp_path).promote(2)
        moved = monotonic()

        until(lambda: serves(service) == 2)

        assert monotonic() - moved < 2


def test_a_service_without_a_model_takes_one_that_is_promoted(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    Store(tmp_path).open(1).weights_path.unlink()
    with serving(tmp_path) as service:
        until(lambda: "can't be used" in service.client.get("/health/ready").text)

        promote(service, 2).raise_for_status()

        assert service.client.get("/health/ready").json() == {"ready": True, "model_version": 2, "problem": None}


def test_a_rollback_serves_the_version_before(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    with ready(tmp_path) as service:
        check(roll_back(service), "no-earlier-champion", 409)
        promote(service, 2).raise_for_status()

        assert roll_back(service).json()["version"] == 1
        assert Store(tmp_path).champion() == serves(service) == 1


def test_a_rollback_to_what_cannot_serve_leaves_the_champion(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8, golden=WRONG)
    publish(tmp_path, seed=9)
    for version in (2, 3):
        Store(tmp_path).promote(version)
    with ready(tmp_path) as service:
        check(roll_back(service), "broken-version", 409)

        assert Store(tmp_path).champion() == serves(service) == 3


def test_a_head_that_is_still_in_memory_but_damaged_on_the_disk_does_not_serve_again(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, head_seed=8)
    with ready(tmp_path) as service:
        promote(service, 2).raise_for_status()
        with Store(tmp_path).open(1).weights_path.open("ab") as file:
            file.write(b"more")

        check(promote(service, 1), "broken-version", 409)
        assert serves(service) == 2
