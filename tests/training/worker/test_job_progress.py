"""What a job says while it runs: its phases, epochs, backbone, download and findings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import training.worker.job_observer
from catdog.jobs.job import Job, Status, log_file
from catdog.network import weights
from catdog.network.architecture import Architecture
from tests.jobs import WIDTH, Place
from tests.networks import random_arrays
from tests.photos import draw, draw_set
from tests.training.data.photo_site import Site, publishing_weights
from training.data import imagenet


def test_a_job_says_how_far_it_is(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.worker.job_observer, "REPORT_SECONDS", 0.0)  # the photos are quick
    for number in range(4):
        draw(tmp_path / "new" / f"{number}.png", "cat", seed=80_000 + number)
    place.collect(tmp_path / "new", "pets", split="train", label="cat")

    job = place.run(dataset="pets", strategy="head", promote="auto")

    events = place.jobs.events(job.id)
    phases = [event.data["phase"] for event in events if event.kind == "progress"]
    shares = [event.data["progress"] for event in events if event.kind == "progress"]
    assert list(dict.fromkeys(phases)) == ["examining", "features", "fitting", "measuring", "publishing"]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
    looked = [(event.data["photos_done"], event.data["photos"]) for event in events if event.data.get("photos")]
    assert looked == [(4, 4)]
    assert "photos examined" in log_file(place.data_dir, job.id).read_text()


def test_a_finetune_reports_its_epochs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        training.worker.job_observer, "REPORT_SECONDS", 0.0
    )  # also of what is quick, such as the head before it
    job = place.run(dataset="pets", strategy="finetune", promote="auto", epochs=2, batch_size=16)

    assert job.status is Status.SUCCEEDED, job.reason
    epochs = [event.data for event in place.jobs.events(job.id) if event.kind == "epoch"]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert all({"loss", "val_log_loss", "val_accuracy"} <= epoch.keys() for epoch in epochs)
    assert (job.progress["epoch"], job.progress["epochs"]) == (2, 2)
    progress = [event.data for event in place.jobs.events(job.id) if event.kind == "progress"]
    assert "quantizing" in {said["phase"] for said in progress}
    assert [said["progress"] for said in progress] == sorted(said["progress"] for said in progress)


@pytest.mark.whole
def test_a_job_compresses_the_champion(place: Place) -> None:
    job = place.run(
        dataset="pets", strategy="compress", promote="never", backbone="auto", width=WIDTH / 2, epochs=2, batch_size=16
    )

    assert job.status is Status.SUCCEEDED, job.reason
    manifest = place.store.open(2).manifest
    assert (manifest.width, manifest.lineage.strategy, manifest.lineage.parent) == (WIDTH / 2, "compress", 1)
    phases = [event.data["phase"] for event in place.jobs.events(job.id) if event.kind == "progress"]
    assert list(dict.fromkeys(phases)) == ["examining", "features", "fitting", "quantizing", "measuring", "publishing"]


def test_a_job_says_which_backbone_it_starts_from_and_why(place: Place) -> None:
    job = place.run(dataset="pets", strategy="head", promote="never")

    line = "the backbone is the champion's, because the classes are its own (version 1: cat, dog)"
    assert job.progress["backbone"] == line
    assert log_file(place.data_dir, job.id).read_text().count(line) == 1


def phases(place: Place, job: Job) -> list[str]:
    """The phases that the job reported, each once."""
    events = place.jobs.events(job.id)
    return list(dict.fromkeys(event.data["phase"] for event in events if event.kind == "progress"))


def test_a_job_on_other_classes_fails_offline_and_says_what_to_do(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails before the pictures are examined, which may take long."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(imagenet, "URL", f"http://127.0.0.1:9/{imagenet.FILE}")
    place.collect(draw_set(tmp_path / "fish", 20, ("cat", "fish")), "aquarium")

    job = place.run(dataset="aquarium", strategy="head", promote="auto")

    assert job.status is Status.FAILED
    assert "because the classes aren't those of the champion" in job.progress["backbone"]
    assert imagenet.URL in (job.reason or "")
    assert '"backbone": "champion" in POST /retrain' in (job.reason or "")
    assert str(tmp_path) not in (job.reason or "")
    assert job.findings is None
    assert phases(place, job) == ["examining", "downloading"]
    assert place.store.versions() == (1,)


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Site]:
    """A server that publishes a narrow network instead of ImageNet's."""
    narrow = Architecture(2, WIDTH)
    weights.write(tmp_path / "narrow.h5", narrow, random_arrays(narrow))
    with publishing_weights((tmp_path / "narrow.h5").read_bytes()) as site:
        yield site


def test_a_job_shows_how_far_its_download_is(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: Site
) -> None:
    """The downloaded network has another width, which the job reports."""
    monkeypatch.setattr(training.worker.job_observer, "REPORT_SECONDS", 0.0)
    place.collect(draw_set(tmp_path / "fish", 20, ("cat", "fish")), "aquarium")

    job = place.run(dataset="aquarium", strategy="head", promote="auto")

    said = [event.data for event in place.jobs.events(job.id) if event.kind == "progress"]
    assert phases(place, job) == ["examining", "downloading"]
    assert said[-1]["seconds_left"] == 0
    assert said[-1]["backbone"] == job.progress["backbone"]
    assert "0.1 of 0.1 MB" in log_file(place.data_dir, job.id).read_text()
    assert job.status is Status.FAILED
    assert "has the shape" in (job.reason or "")
    assert published.statuses == [200]


def test_what_the_doctor_finds_stands_in_the_job(place: Place, tmp_path: Path) -> None:
    draw(tmp_path / "twice" / "cat" / "copy.png", "cat", seed=99_999)
    place.collect(tmp_path / "twice" / "cat", "pets", split="test", label="cat")
    draw(tmp_path / "twice" / "cat" / "copy.png", "cat", seed=99_999)
    place.collect(tmp_path / "twice" / "cat", "pets", split="train", label="cat")
    (tmp_path / "twice" / "cat" / "copy.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    place.collect(tmp_path / "twice" / "cat", "pets", split="train", label="cat")

    job = place.run(dataset="pets", strategy="head", promote="auto")

    found = {finding["kind"]: finding for finding in job.findings or []}
    assert found["leakage"]["count"] == 2
    assert [photo["name"] for photo in found["unreadable"]["photos"]] == ["copy.png"]
