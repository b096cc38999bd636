"""Batches: many photos classified in the background, each with exactly one row."""

import csv
import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from app.batches import files
from catdog.jobs.queue import WAITING
from tests.app.api.test_datasets import picture, zipped
from tests.app.service import ADMIN, Service, publish, serving
from tests.waiting import until

PHOTOS = 12
ZIP = {"Content-Type": "application/zip"}
FINAL = ("succeeded", "failed", "cancelled")
KILLED = -signal.SIGKILL
MOMENTS = ("classify.begun", "classify.row", "batch.written", "job.finished")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with its own data, whose client sends the admin key."""
    folder = tmp_path_factory.mktemp("service")
    publish(folder)
    with serving(folder, worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        yield service


def photos(count: int = PHOTOS) -> dict[str, bytes]:
    """Photos by their places in a ZIP, in the order of the result, with a broken one and a file that is none."""
    good = {f"pets/{number:04}.png": picture(number) for number in range(count)}
    return {"broken.jpg": b"\xff\xd8\xff no more", **good, "readme.txt": b"no photo"}


def begin(service: Service, members: dict[str, bytes]) -> str:
    """Send a ZIP; returns the address of the batch."""
    answer = service.client.post("/batches", content=zipped(members), headers=ZIP)
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def ended(service: Service, batch: str) -> dict[str, Any]:
    until(lambda: service.client.get(batch).json()["status"] in FINAL)
    found: dict[str, Any] = service.client.get(batch).json()
    return found


def rows(service: Service, batch: str) -> list[dict[str, Any]]:
    text = service.client.get(f"{batch}/result", params={"format": "jsonl"}).raise_for_status().text
    return [json.loads(line) for line in text.splitlines()]


def problem(service: Service, **request: Any) -> tuple[int, str]:
    answer = service.client.post("/batches", **request)
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def test_every_photo_of_a_zip_has_one_row_with_the_answer_of_predict(service: Service) -> None:
    batch = begin(service, photos())

    done = ended(service, batch)

    assert (done["status"], done["reason"]) == ("succeeded", f"{PHOTOS + 1} photos, 1 of them with an error")
    assert (done["photos"], done["done"], done["errors"], done["version"]) == (PHOTOS + 1, PHOTOS + 1, 1, 1)
    broken, *good = rows(service, batch)
    assert broken["path"] == "broken.jpg"
    assert broken["error"].startswith("the JPEG is broken")
    assert [row["path"] for row in good] == list(photos())[1:-1]
    for number, row in enumerate(good):
        answer = service.client.post("/predict", content=picture(number)).json()
        assert row["cat"] == pytest.approx(answer["probabilities"]["cat"], abs=1e-6)
        assert (row["label"], row["unknown"], row["version"]) == (answer["label"], answer["unknown"], 1)


def test_the_result_is_csv_or_json_lines_with_the_columns_of_classify(service: Service) -> None:
    batch = begin(service, photos())
    ended(service, batch)

    answer = service.client.get(f"{batch}/result")

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    table = list(csv.DictReader(StringIO(answer.text)))
    assert list(table[0]) == ["path", "label", "probability", "cat", "dog", "unknown", "version", "error"]
    lines = rows(service, batch)
    assert [row["path"] for row in table] == [row["path"] for row in lines]
    assert [float(row["cat"]) for row in table[1:]] == [row["cat"] for row in lines[1:]]
    folder = files.folder_of(service.app.state.settings.data_dir, batch.rpartition("/")[2])
    assert sorted(path.name for path in folder.iterdir()) == ["result.csv", "result.jsonl"]


def test_the_pictures_of_a_data_set_are_classified(service: Service) -> None:
    members = {f"{label}/{n}.png": picture(n + 50 * (label == "dog")) for label in ("cat", "dog") for n in range(3)}
    service.client.post("/datasets/pets/archive", content=zipped(members), headers=ZIP).raise_for_status()

    answer = service.client.post("/batches", json={"dataset": "pets"})

    assert answer.json()["dataset"] == "pets"
    assert ended(service, answer.headers["Location"])["photos"] == 6
    found = rows(service, answer.headers["Location"])
    for row in found:
        label, sha256, name = row["path"].split("/")
        assert members[f"{label}/{name}"] == service.client.get(f"/datasets/pets/images/{sha256}").content
    assert len({row["path"] for row in found}) == 6


def test_a_photo_that_is_larger_than_an_upload_may_be_is_a_row_with_an_error(tmp_path: Path, models_dir: Path) -> None:
    members = {"large.png": b"\x89PNG" + bytes(100_000), "small.png": picture(1)}
    with serving(models_dir, data_dir=tmp_path, max_upload_bytes=50_000) as small:
        until(lambda: small.client.get("/health/ready").is_success)
        small.client.headers.update(ADMIN)
        batch = begin(small, members)
        ended(small, batch)
        large, other = rows(small, batch)

    assert large["error"] == "it has more than 50,000 bytes, the limit of a photo"
    assert other["error"] is None


def test_what_cannot_be_a_batch_is_refused(service: Service) -> None:
    assert problem(service, content=b"no ZIP", headers=ZIP) == (422, "archive-refused")
    assert problem(service, content=zipped({"a.txt": b"text"}), headers=ZIP) == (422, "archive-refused")
    assert problem(service, content=zipped({"../a.png": picture(1)}), headers=ZIP) == (422, "archive-refused")
    assert problem(service, json={"dataset": "none"}) == (404, "dataset-not-found")
    assert problem(service, json={"data": "pets"}) == (422, "invalid-request")
    assert problem(service, content=b"text", headers={"Content-Type": "text/plain"}) == (
        415,
        "unsupported-content-type",
    )
    assert problem(service, content=b"", headers=ZIP | {"Authorization": ""}) == (401, "unauthorized")
    assert service.client.get("/batches/none").json()["type"].endswith("job-not-found")


def test_batches_are_listed_and_the_newest_is_latest(service: Service) -> None:
    first, second = (begin(service, {"a.png": picture(number)}) for number in range(2))

    listed = [f"/batches/{batch['id']}" for batch in service.client.get("/batches").json()["batches"]]

    assert listed[:2] == [second, first]
    assert service.client.get("/batches/latest").json()["id"] in second
    assert first not in [f"/retrain/{job['id']}" for job in service.client.get("/retrain").json()["jobs"]]
    ended(service, second)


def test_a_batch_that_waits_and_one_that_runs_can_be_cancelled(service: Service) -> None:
    running, waiting = begin(service, photos(3000)), begin(service, photos())
    until(lambda: service.client.get(running).json()["done"] > 0)

    for batch in (waiting, running):
        assert service.client.delete(batch).status_code == 202

    assert [ended(service, batch)["status"] for batch in (running, waiting)] == ["cancelled"] * 2
    refused = service.client.get(f"{running}/result")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:catdog:problem:no-result")
    service.app.state.batches.clean()
    assert not list(files.folder_of(service.app.state.settings.data_dir, waiting.rpartition("/")[2]).iterdir())


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="needs Linux, whose scheduler has a class for idle cores")
def test_a_batch_leaves_the_cores_to_the_service(service: Service) -> None:
    """In the service's session: Linux may share the cores evenly between sessions, whatever their priorities."""
    batch = begin(service, photos(3000))
    until(lambda: service.client.get(batch).json()["done"] > 0)
    jobs = service.app.state.batches.jobs
    worker = jobs._runner._processes[jobs._worker].pid

    assert os.sched_getscheduler(worker) == os.SCHED_IDLE
    assert os.getsid(worker) == os.getsid(0)

    service.client.delete(batch)
    ended(service, batch)


def test_more_batches_than_may_wait_are_refused_before_their_upload(service: Service) -> None:
    begun = [begin(service, photos(3000))]
    until(lambda: service.client.get(begun[0]).json()["status"] == "running")
    begun += [begin(service, {"a.png": picture(1)}) for _ in range(WAITING)]

    assert problem(service, content=b"not even read", headers=ZIP) == (429, "queue-full")

    for batch in reversed(begun):
        service.client.delete(batch)
    ended(service, begun[0])


def fresh_worker(service: Service) -> None:
    """End the worker of earlier batches, which waits for more, so that the next one is a new process."""
    jobs = service.app.state.batches.jobs
    jobs._runner.stop(jobs._worker)
    until(lambda: jobs._worker is None)


@pytest.mark.whole
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_worker_that_is_killed_costs_no_row_and_doubles_none(
    service: Service, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    ended(service, begin(service, {"a.png": picture(1)}))
    fresh_worker(service)
    monkeypatch.setenv("FAILPOINTS", moment)
    runner = service.app.state.batches.jobs._runner
    before = len(runner._processes)
    batch = begin(service, photos())
    until(lambda: any(process.poll() == KILLED for process in list(runner._processes.values())[before:]))
    monkeypatch.delenv("FAILPOINTS")

    assert ended(service, batch)["status"] == "succeeded"
    assert [row["path"] for row in rows(service, batch)] == list(photos())[:-1]


@pytest.mark.whole
def test_kills_at_random_moments_cost_no_row_and_double_none(service: Service) -> None:
    chance = random.Random(1)  # noqa: S311  # no secret
    count = 8000
    batch = begin(service, photos(count))
    jobs = service.app.state.batches.jobs
    kills = 0

    def has_advanced() -> bool:
        """Whether the present worker has, or the batch has ended."""
        found = service.app.state.database.batches.get(batch.rpartition("/")[2])
        is_alive = jobs._worker is not None and jobs._runner._processes[jobs._worker].poll() is None
        return (is_alive and found.progress.get("advanced_by") == jobs._worker) or found.status in FINAL

    for _ in range(20):
        until(has_advanced)
        if service.client.get(batch).json()["status"] in FINAL:
            break
        process = jobs._runner._processes[jobs._worker]
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, 1))
        process.kill()
        process.wait()
        kills += 1

    assert kills > 2
    assert ended(service, batch)["status"] == "succeeded"
    assert [row["path"] for row in rows(service, batch)] == list(photos(count))[:-1]


@pytest.mark.whole
def test_a_batch_goes_on_after_a_restart_of_the_service(tmp_path: Path, models_dir: Path) -> None:
    with serving(models_dir, data_dir=tmp_path) as first:
        until(lambda: first.client.get("/health/ready").is_success)
        first.client.headers.update(ADMIN)
        batch = begin(first, photos(2000))
        until(lambda: first.client.get(batch).json()["done"] > 0)
    with serving(models_dir, data_dir=tmp_path) as second:
        second.client.headers.update(ADMIN)
        assert second.client.get(batch).json()["status"] not in FINAL
        assert ended(second, batch)["reason"] == "2,001 photos, 1 of them with an error"
        found = [row["path"] for row in rows(second, batch)]

    assert found == list(photos(2000))[:-1]


@pytest.mark.whole
def test_a_batch_whose_worker_dies_again_without_progress_fails(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(service, begin(service, {"a.png": picture(1)}))
    fresh_worker(service)
    monkeypatch.setenv("FAILPOINTS", "classify.row")

    failed = ended(service, begin(service, photos()))

    assert (failed["status"], failed["reason"][:22]) == ("failed", "it was tried 2 times; ")


def test_old_batches_are_deleted_with_their_files(tmp_path: Path, models_dir: Path) -> None:
    with serving(models_dir, data_dir=tmp_path, keep_jobs_days=1e-9) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        old, new = (begin(service, {"a.png": picture(number)}) for number in range(2))
        ended(service, new)

        service.app.state.batches.clean()

        assert service.client.get(old).status_code == 404
        assert service.client.get(f"{new}/result").status_code == 200
