"""Queued jobs are run on a tiny network."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import nncf
import pytest

import training.worker.job_observer
from catdog.database import Database
from catdog.jobs.job import Job, Status, log_file
from catdog.network import weights
from catdog.network.architecture import Architecture
from tests.jobs import WIDTH, Place
from tests.networks import random_arrays
from tests.photos import draw, draw_set, draw_splits
from tests.training.data.photo_site import Site, publishing_weights
from training.data import imagenet


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_splits(tmp_path_factory.mktemp("photos"), 48, 6, 30)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder with a store of one version."""
    folder = tmp_path_factory.mktemp("learned")
    Place(folder, Database.of(folder)).learn(photos)
    return folder


@pytest.fixture
def place(tmp_path: Path, database: Database, learned: Path, photos: Path) -> Place:
    """The same, and the data set "pets" of 168 photos."""
    made = Place(Path(shutil.copytree(learned, tmp_path / "place")), database)
    made.collect(photos, "pets")
    return made


def test_a_job_brings_a_version_into_service(place: Place) -> None:
    job = place.run(dataset="pets", strategy="head", promote="auto", notes="mine")

    assert job.status is Status.SUCCEEDED, job.reason
    assert job.version == 2
    assert place.store.champion() == 2
    assert job.decision is not None
    assert job.decision["promoted"]
    assert (job.reason or "").startswith("version 2: promoted: accuracy 100.0% against 100.0% on ")
    manifest = place.store.open(2).manifest
    assert manifest.lineage.job == job.id
    assert job.progress["metrics"]["accuracy"] == manifest.metrics["test"].accuracy
    assert manifest.lineage.notes == "mine"
    assert manifest.decision is not None
    assert manifest.decision.champion == 1
    assert manifest.decision.model_dump(mode="json").items() <= job.decision.items()


def test_a_version_for_the_shadow_goes_on_trial_beside_the_champion_if_the_rule_allows_it(place: Place) -> None:
    job = place.run(dataset="pets", strategy="head", promote="shadow", keep_versions=1)

    assert job.status is Status.SUCCEEDED, job.reason
    assert (place.store.champion(), job.version) == (1, 2)
    assert (job.reason or "").startswith(
        "version 2: on trial next to the champion, as requested; decision of the promotion rule: promoted: accuracy"
    )
    assert job.decision is not None
    assert (job.decision["promote"], job.decision["promoted"]) == (True, False)
    trial = place.store.trials.running()
    assert trial is not None
    assert (trial.version, trial.champion, trial.photos) == (2, 1, 0)


def test_photos_of_neither_class_measure_unknown_and_teach_nothing(place: Place, tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / "neither" / f"{number}.png", "dog", seed=70_000 + number)
    place.collect(tmp_path / "neither", "pets", label="neither")

    job = place.run(dataset="pets", strategy="head", promote="auto")

    assert job.status is Status.SUCCEEDED, job.reason
    manifest = place.store.open(2).manifest
    assert manifest.classes == ("cat", "dog")
    assert sum(sum(split.values()) for split in manifest.lineage.dataset.photos.values()) == 168
    assert manifest.unknown is not None
    assert manifest.unknown.neither is not None
    assert manifest.unknown.neither.photos == 4


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


def test_a_job_says_where_there_is_no_int8_graph_and_why(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise nncf.InternalError("no such operation")

    monkeypatch.setattr(nncf, "quantize", fail)

    job = place.run(dataset="pets", strategy="finetune", promote="never", epochs=1, batch_size=16)

    assert job.status is Status.SUCCEEDED, job.reason
    assert (job.reason or "").endswith("; NNCF can't make an int8 graph: no such operation")


def test_a_version_that_is_worse_is_kept_out_with_the_reason(place: Place, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    for number in range(200):  # green cats and red dogs
        draw(wrong / "cat" / f"{number}.png", "dog", seed=50_000 + number)
        draw(wrong / "dog" / f"{number}.png", "cat", seed=60_000 + number)
    place.collect(wrong / "cat", "pets", split="train", label="cat")
    place.collect(wrong / "dog", "pets", split="train", label="dog")

    job = place.run(dataset="pets", strategy="head", promote="auto")

    assert job.status is Status.SUCCEEDED, job.reason
    assert "not promoted: accuracy" in (job.reason or "")
    assert place.store.champion() == 1
    assert place.store.versions() == (1, 2)


def test_a_version_is_only_published_where_that_was_asked(place: Place) -> None:
    job = place.run(dataset="pets", strategy="head", promote="never")

    assert job.status is Status.SUCCEEDED
    assert (place.store.champion(), place.store.versions()) == (1, (1, 2))
    assert "not promoted, as requested" in (job.reason or "")


def test_other_classes_are_not_put_into_service_by_themselves(place: Place, tmp_path: Path) -> None:
    place.collect(draw_set(tmp_path / "fish", 60, ("cat", "fish")), "aquarium")

    job = place.run(dataset="aquarium", strategy="head", promote="auto", backbone="champion")

    assert "its classes are cat, fish, but those of version 1 are cat, dog" in (job.reason or "")
    assert place.store.champion() == 1


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


def test_a_data_set_that_cannot_be_trained_on_fails_the_job_with_the_reason(place: Place, photos: Path) -> None:
    place.collect(photos / "train" / "cat", "cats", split="train", label="cat")

    nowhere = place.run(dataset="nowhere", strategy="head", promote="auto")
    one_class = place.run(dataset="cats", strategy="head", promote="auto")

    assert nowhere.status is one_class.status is Status.FAILED
    assert nowhere.reason == "there is no data set nowhere (there are: cats, pets); upload pictures into it first"
    assert "at least two" in (one_class.reason or "")


def test_a_worker_that_lost_its_job_publishes_nothing(place: Place) -> None:
    """It stops renewing its lease for too long just before publishing."""
    lost: list[str] = []

    def lose_it_once(phase: str) -> None:
        if phase == "publishing" and not lost:
            (job,) = place.jobs.running()
            lost.append(job.id)
            place.jobs.give_up(str(job.worker), "it fell silent")
            assert place.store.versions() == (1,)

    job = place.run(dataset="pets", strategy="head", promote="auto", on_phase=lose_it_once)

    assert lost == [job.id]
    assert (job.status, job.attempts, job.version) == (Status.SUCCEEDED, 2, 2)
    assert place.store.versions() == (1, 2)


def test_only_the_newest_versions_stay(place: Place) -> None:
    for _ in range(3):
        place.run(dataset="pets", strategy="head", promote="never", keep_versions=2)

    assert place.store.versions() == (1, 3, 4)


def test_a_champion_that_came_meanwhile_stays(place: Place, photos: Path) -> None:
    """Another version is promoted between the measurement and the promotion."""
    place.learn(photos)
    promoted = Event()

    def promote_another() -> None:
        place.store.promote(2)
        promoted.set()

    def just_before_the_end(phase: str) -> None:
        if phase == "publishing":
            thread = Thread(target=promote_another)
            thread.start()
            thread.join()

    job = place.run(dataset="pets", strategy="head", promote="auto", on_phase=just_before_the_end)

    assert promoted.is_set()
    assert "measured against version 1, but version 2 is in service now" in (job.reason or "")
    assert place.store.champion() == 2
    assert place.store.versions() == (1, 2, 3)
