"""Queued jobs are run on a tiny network: their versions, and which of them go into service."""

from pathlib import Path
from threading import Event, Thread

import nncf
import pytest

from catdog.jobs.job import Status
from tests.jobs import Place
from tests.photos import draw, draw_set


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
