"""Two versions are compared on the same photos, by a real worker process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from catdog.jobs.job import Status
from tests.app.api.test_datasets import zipped
from tests.app.api.test_opinions import drawn
from tests.app.service import ADMIN, Service, publish, serving
from tests.app.web.test_problem_details import check
from tests.waiting import until

CLASSES = ("cat", "dog")
PHOTOS = 8  # of each class


@contextmanager
def with_two_versions(folder: Path, worker: str) -> Iterator[Service]:
    """A service whose two versions answer differently, with the data set "pets": red and green test photos."""
    members = {
        f"test/{CLASSES[number % 2]}/{number}.png": drawn(number, number // 2 % 2) for number in range(2 * PHOTOS)
    }
    publish(folder / "models", CLASSES, head_seed=10)
    publish(folder / "models", CLASSES, head_seed=16)
    with serving(folder / "models", worker=worker, data_dir=folder / "data") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        archive = {"file": zipped(members)}
        service.client.post("/datasets/pets/archive", files=archive, headers=ADMIN).raise_for_status()
        yield service


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Service]:
    with with_two_versions(tmp_path, "process") as service:
        yield service


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Service]:
    """The same without workers, whose client sends the admin key."""
    with with_two_versions(tmp_path, "none") as service:
        service.client.headers.update(ADMIN)
        yield service


def compare(service: Service, **asked: Any) -> dict[str, Any]:
    """Ask for a comparison and wait for its end."""
    begun = service.client.post("/comparisons", json={"versions": [2, 1], "dataset": "pets", **asked}, headers=ADMIN)
    assert begun.status_code == 202, begun.text
    address = begun.headers["Location"]
    until(lambda: Status(service.client.get(address).json()["status"]).is_final)
    found: dict[str, Any] = service.client.get(address, headers=ADMIN).json()
    return found


def answers(service: Service, version: int) -> dict[str, str]:
    """What a version says of each photo of the data set, by its sha256."""
    service.client.post(f"/models/{version}/promote", headers=ADMIN).raise_for_status()
    listed = service.client.get("/datasets/pets/pictures", headers=ADMIN).json()["pictures"]
    said = {}
    for one in listed:
        photo = service.client.get(f"/datasets/pets/images/{one['sha256']}", headers=ADMIN).content
        said[one["sha256"]] = service.client.post("/predict", content=photo).json()["probabilities"]
    return {sha256: max(shares, key=lambda label: shares[label]) for sha256, shares in said.items()}


def test_both_versions_are_measured_on_the_same_photos_and_the_service_answers_on(two: Service) -> None:
    done = compare(two)

    assert done["status"] == "succeeded", done["reason"]
    labels = {
        one["sha256"]: one["label"]
        for one in two.client.get("/datasets/pets/pictures", headers=ADMIN).json()["pictures"]
    }
    first, second = answers(two, 2), answers(two, 1)
    result = done["result"]
    right = [{photo for photo in labels if said[photo] == labels[photo]} for said in (first, second)]
    assert (result["photos"], result["left_out"], result["unreadable"], result["classes"]) == (16, 0, 0, list(CLASSES))
    assert [each["accuracy"] for each in result["metrics"]] == [len(each) / 16 for each in right]
    assert (result["only_first"], result["only_second"]) == (len(right[0] - right[1]), len(right[1] - right[0]))
    assert result["difference"] == (len(right[0]) - len(right[1])) / 16
    assert result["difference_low"] < result["difference"] < result["difference_high"]
    assert result["doubtful"] == [2, 1], "these versions don't record what they were trained on"
    assert {photo["sha256"] for photo in done["different"]} == {
        photo for photo in labels if first[photo] != second[photo]
    }
    assert result["different"] == len(done["different"]) > 0
    for photo in done["different"]:
        said = [answer["label"] for answer in photo["answers"]]
        assert (photo["label"], said) == (labels[photo["sha256"]], [first[photo["sha256"]], second[photo["sha256"]]])

    shown = two.client.get(f"/comparisons/{done['id']}").json()
    assert (shown["result"], shown["different"]) == (result, []), "photos are shown from the role label on"
    assert two.client.get("/comparisons").json()["comparisons"] == [shown]
    deleted = two.client.delete(f"/photos/{done['different'][0]['sha256']}", headers=ADMIN).raise_for_status()
    assert deleted.json()["findings"] == 1
    assert two.client.get("/comparisons/latest", headers=ADMIN).json()["different"] == done["different"][1:]


def test_a_request_that_cannot_be_met_is_refused_and_one_that_waits_can_be_cancelled(idle: Service) -> None:
    for versions, dataset, refusal in (
        ([1, 1], "pets", ("invalid-request", 422)),
        ([1, 99], "pets", ("version-not-found", 404)),
        ([1, 2], "birds", ("dataset-not-found", 404)),
    ):
        check(idle.client.post("/comparisons", json={"versions": versions, "dataset": dataset}), *refusal)

    begun = idle.client.post("/comparisons", json={"versions": [1, 2], "dataset": "pets"}).raise_for_status().json()
    assert (begun["status"], begun["split"]) == ("queued", "test")
    assert idle.client.delete(f"/comparisons/{begun['id']}").json()["status"] == "cancelled"
    check(idle.client.get("/comparisons/none"), "job-not-found", 404)
