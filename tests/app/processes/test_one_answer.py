"""Whichever of two processes is asked, the answer is that of one service."""

from collections.abc import Iterator

import httpx
import pytest

from catdog.versions.measurements import Histogram
from tests.app.processes.running import PROCESSES, classify, pair
from tests.app.scraping import Page
from tests.app.service import publish
from tests.waiting import until

REPOSITORY = "/v2/repository"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """A client of each process of a service with two versions, which runs no trainings."""
    models_dir, data_dir = (tmp_path_factory.mktemp(name) for name in ("models", "data"))
    publish(models_dir, histograms={"probability": Histogram(edges=(2.0,), photos=(500, 1))})
    publish(models_dir, seed=8)
    with pair(models_dir, data_dir) as service, service.client_of_each() as (one, other):
        yield one, other


Both = tuple[httpx.Client, httpx.Client]


def predict(client: httpx.Client, photo: bytes) -> dict[str, object]:
    found: dict[str, object] = client.post("/predict", content=photo).raise_for_status().json()
    return found


def page(client: httpx.Client) -> Page:
    return Page(client.get("/metrics").raise_for_status().text)


def test_feedback_may_reach_another_process_than_the_prediction(both: Both, jpeg: bytes) -> None:
    one, other = both
    said = {"prediction_id": predict(one, jpeg)["prediction_id"], "label": "dog", "dataset": "pets"}

    other.post("/feedback", json=said).raise_for_status()

    counts = [client.get("/datasets/pets").raise_for_status().json() for client in both]
    assert counts[0] == counts[1]
    assert "dog" in str(counts[0])
    assert [len(client.get("/review").json()["items"]) for client in both] == [0, 0]


def test_the_queue_and_the_metrics_are_those_of_both(both: Both, jpeg: bytes) -> None:
    before = page(both[0]).find("catdog_photos_answered_total")
    for client in both:
        predict(client, jpeg)
    client_errors = [client.get("/nowhere").status_code for client in both]

    queues = [client.get("/queue").json() for client in both]
    pages = [page(client) for client in both]

    assert client_errors == [404, 404]
    assert queues[0] == queues[1]
    assert before is not None
    assert queues[0]["answered"] == queues[0]["recent"]["photos"] == before + 2
    for found in pages:
        assert found.find("catdog_photos_answered_total") == before + 2
        assert found.find("catdog_requests_total", method="GET", route="other", status="404") == 2
        assert found.find("catdog_phase_duration_seconds_count", phase="infer") == before + 2
        assert found.find("catdog_queue_limit_photos") == queues[0]["limit"] == 64
        assert found.find("catdog_ready") == 1
    used = [found.find("process_resident_memory_bytes") for found in pages]
    assert all(each is not None and each > PROCESSES * 50 * 2**20 for each in used)


def test_drift_is_computed_from_the_photos_of_both(both: Both, jpeg: bytes) -> None:
    def photos() -> list[int]:
        return [client.get("/drift").raise_for_status().json()["shifts"][0]["photos"] for client in both]

    before = photos()
    for client in both:
        predict(client, jpeg)

    assert before[0] == before[1]
    assert photos() == [count + PROCESSES for count in before]
    assert [page(client).find("catdog_drift_photos", measure="probability") for client in both] == photos()


def test_a_version_that_one_loads_is_loaded_and_unloaded_by_both(both: Both, jpeg: bytes) -> None:
    one, other = both
    one.post(f"{REPOSITORY}/models/catdog/load?version=2").raise_for_status()

    for client in both:
        assert client.post("/predict?version=2", content=jpeg).raise_for_status().json()["model_version"] == 2

    other.post(f"{REPOSITORY}/models/catdog/unload?version=2").raise_for_status()

    states = [client.post(f"{REPOSITORY}/index").json() for client in both]
    assert [entry["state"] for entry in states[0]] == ["READY", "UNAVAILABLE"]
    assert states[0] == states[1]


def test_a_promotion_by_one_is_a_hot_swap_of_both(both: Both, jpeg: bytes) -> None:
    one, other = both
    one.post("/models/2/promote").raise_for_status()

    assert [predict(client, jpeg)["model_version"] for client in both] == [2, 2]

    other.post("/rollback").raise_for_status()

    assert [client.get("/model").json()["version"] for client in both] == [1, 1]
    assert [page(client).find("catdog_swaps_total") for client in both] == [2, 2]


def test_a_key_that_one_creates_and_revokes_is_known_to_both(both: Both) -> None:
    one, other = both
    key = one.post("/keys", json={"name": "app", "role": "label"}).raise_for_status().json()["key"]
    asking = {"headers": {"Authorization": f"Bearer {key}"}}

    assert [client.get("/review", **asking).status_code for client in both] == [200, 200]  # type: ignore[arg-type]

    other.delete("/keys/app").raise_for_status()
    until(lambda: one.get("/review", **asking).status_code == 401, seconds=5)  # type: ignore[arg-type]


def test_a_job_runs_once_and_both_see_it(both: Both, jpeg: bytes) -> None:
    one, other = both
    batch = classify(one, jpeg)

    until(lambda: other.get(f"/batches/{batch}").json()["status"] == "succeeded")

    results = [client.get(f"/batches/{batch}/result").raise_for_status().text for client in both]
    assert results[0] == results[1]
    assert "photo.jpg" in results[0]
