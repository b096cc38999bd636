"""A store in a bucket that several machines use: each has its own cache."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from catdog import exit_status
from catdog.errors import BrokenVersion, StoreUnavailable
from catdog.system.location import Remote
from catdog.system.object_store import Conflict, Objects
from catdog.versions.manifest import Manifest, WeightsFile
from catdog.versions.places import bucket_mirror
from catdog.versions.store import Store, Version
from catdog.versions.trial import Pair, Seen
from tests.object_store import Bucket
from tests.waiting import until

Publish = Callable[[Store], Version]
Machine = Callable[[str], Store]


@pytest.fixture
def machine(bucket: Bucket, tmp_path: Path) -> Machine:
    """The same store, as the machine of this name has it."""
    return lambda name: Store(Remote(f"{bucket.url}/{tmp_path.name}", tmp_path / name))


@pytest.fixture
def objects(bucket: Bucket, tmp_path: Path) -> Objects:
    return Objects(f"{bucket.url}/{tmp_path.name}")


def names(objects: Objects) -> set[str]:
    return {name for name, _ in objects.names("")}


def publish_like(version: Version, store: Store) -> Version:
    """Publish another version with the same weights."""
    with store.draft() as draft:
        shutil.copyfile(version.weights_path, draft.weights_path)
        return draft.publish(lambda number: version.manifest.model_copy(update={"version": number}))


def test_a_version_lies_under_its_number(machine: Machine, publish: Publish, objects: Objects) -> None:
    publish(machine("a"))

    files = {"1/manifest.json", "1/model.weights.h5", "1/report/history.csv"}
    assert names(objects) == {"state.json", *files}


def test_another_machine_sees_versions_and_promotions(machine: Machine, publish: Publish) -> None:
    here, there = machine("a"), machine("b")
    assert there.versions() == ()

    published = publish(here)
    number = publish(here).number
    here.promote(number)

    until(lambda: there.versions() == (1, 2) and there.champion() == number)
    assert there.open(1).weights_path.read_bytes() == published.weights_path.read_bytes()
    there.open(1).verify()


def test_only_the_manifest_is_read_until_more_is_needed(machine: Machine, publish: Publish) -> None:
    publish(machine("a"))

    opened = machine("b").open(1)

    assert [path.name for path in opened.folder.iterdir()] == ["manifest.json"]
    assert opened.file("report/history.csv").read_text() == "epoch,loss\n"
    assert not (opened.folder / "model.weights.h5").exists()
    assert opened.weights_path.exists()


def test_machines_that_publish_at_once_get_different_numbers(machine: Machine, publish: Publish) -> None:
    stores = [machine(f"machine-{number}") for number in range(8)]

    with ThreadPoolExecutor(len(stores)) as threads:
        published = [version.number for version in threads.map(publish, stores)]

    assert sorted(published) == list(range(1, 9))
    assert machine("new").versions() == tuple(range(1, 9))
    for number in published:
        machine("new").open(number).verify()


def test_promotions_at_once_all_count(machine: Machine, publish: Publish) -> None:
    for _ in range(6):
        publish(machine("a"))

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda number: machine(f"machine-{number}").promote(number), range(2, 7)))

    assert sorted(machine("new").champions()) == [1, 2, 3, 4, 5, 6]
    assert machine("new").champions()[-1] == 1


def test_what_several_machines_saw_of_a_trial_adds_up(machine: Machine, publish: Publish) -> None:
    for _ in range(2):
        publish(machine("a"))
    machine("a").try_out(2, 1)
    same = Seen(agree=True, candidate_unknown=False, champion_unknown=False, seconds=Pair(0.01, 0.02))

    with ThreadPoolExecutor(4) as threads:
        for number in range(12):
            threads.submit(machine(f"machine-{number % 4}").trials.change, 2, lambda trial: trial.after([same], {}))

    trial = machine("new").trials.running()
    assert trial is not None
    assert trial.photos == 12


def test_a_publisher_that_ends_in_between_leaves_no_version(machine: Machine, publish: Publish) -> None:
    def end(number: int) -> Manifest:
        raise KeyboardInterrupt

    here = machine("a")
    with here.draft() as draft:
        draft.weights_path.write_bytes(b"weights")
        with pytest.raises(KeyboardInterrupt):
            draft.publish(end)

    assert here.versions() == machine("b").versions() == ()
    assert publish(machine("b")).number == 2, "its number isn't used again"


def test_files_that_another_version_has_are_neither_uploaded_nor_downloaded_again(
    machine: Machine, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(machine("a"))
    machine("b").open(1).verify()
    moved: list[str] = []

    def noted(moves: Callable[..., Any]) -> Callable[..., Any]:
        def move(objects: Objects, name: str, *more: object) -> Any:
            moved.append(name)
            return moves(objects, name, *more)

        return move

    monkeypatch.setattr(Objects, "get", noted(Objects.get))
    monkeypatch.setattr(Objects, "put", noted(Objects.put))

    number = publish_like(first, machine("a")).number
    until(lambda: number in machine("b").versions())
    machine("b").open(number).verify()

    assert [name for name in moved if name.endswith(".h5")] == []
    assert (machine("b").root / "2" / "model.weights.h5").stat().st_nlink == 2


def test_a_file_that_is_not_what_was_published_is_refused(machine: Machine, publish: Publish, objects: Objects) -> None:
    publish(machine("a"))
    objects.delete(["1/model.weights.h5"])
    with pytest.raises(BrokenVersion, match=r"model\.weights\.h5 is missing in the bucket"):
        machine("b").open(1).verify()
    objects.put("1/model.weights.h5", b"others")

    with pytest.raises(BrokenVersion, match=r"model\.weights\.h5 in the bucket is not the file that was published"):
        machine("b").open(1).verify()

    assert not (machine("b").root / "1" / "model.weights.h5").exists()


def test_a_bucket_that_was_emptied_and_filled_again_is_not_confused_with_the_cache(
    machine: Machine, publish: Publish, objects: Objects
) -> None:
    publish(machine("a"))
    machine("b").open(1).verify()
    objects.delete(names(objects))

    published = publish(machine("c"))

    until(lambda: machine("b").open(1).manifest == published.manifest)
    machine("b").open(1).verify()


def test_versions_are_those_last_seen_while_the_bucket_is_away_and_changes_are_refused(
    machine: Machine, publish: Publish, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_mirror, "CHECK_SECONDS", 0.0)
    here = machine("a")
    for _ in range(2):
        publish(here)
    here.promote(2)

    with bucket.away():
        assert (here.versions(), here.champion()) == ((1, 2), 2)
        here.open(2).verify()
        for change in (lambda: here.promote(1), here.roll_back, lambda: here.delete(1), lambda: here.prune(1)):
            with pytest.raises(StoreUnavailable):
                change()
        with pytest.raises(StoreUnavailable):
            machine("new").versions()

    assert machine("b").champions() == (2, 1)
    machine("b").promote(1)
    until(lambda: here.champion() == 1)


def test_a_command_says_what_a_bucket_that_is_away_answers(
    machine: Machine, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    with bucket.away(), pytest.raises(StoreUnavailable) as caught:
        machine("new").versions()

    assert exit_status.of_error(caught.value) == exit_status.FAILED
    assert "the object store doesn't answer: s3://models/" in capsys.readouterr().err


def test_a_step_whose_answer_was_lost_is_not_repeated(
    machine: Machine, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine("a")
    for _ in range(3):
        publish(here)
    here.promote(2)
    here.promote(3)
    put = Objects.put

    def lose_the_answer(self: Objects, *arguments: object) -> None:
        put(self, *arguments)  # type: ignore[arg-type]
        raise Conflict  # as the second request finds it

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "put", lose_the_answer)
        assert here.roll_back() == 2

    assert machine("b").champions() == (2, 1)


def test_the_cache_keeps_the_versions_used_last(
    machine: Machine, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catdog.versions.places.bucket.CACHED", 2)
    for _ in range(4):
        publish(machine("a"))

    for number in (1, 2, 3, 1, 4):
        machine("b").open(number).verify()
        os.utime(machine("b").root / str(number), (number, number) if number == 2 else None)

    assert {path.name for path in machine("b").root.iterdir() if path.name.isdigit()} == {"1", "4"}


def test_a_sweep_removes_old_objects_of_no_version(
    machine: Machine, publish: Publish, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(machine("a"))
    objects.put("7/model.weights.h5", b"of a publisher that was killed")
    machine("a").sweep()
    assert "7/model.weights.h5" in names(objects), "its publisher may be at work"
    monkeypatch.setattr("catdog.versions.places.bucket.ABANDONED", timedelta(days=-1))

    machine("a").sweep()

    assert {name.partition("/")[0] for name in names(objects)} == {"1", "state.json"}


def test_weights_that_a_manifest_does_not_describe_are_not_listed(machine: Machine, manifest: Manifest) -> None:
    here = machine("a")
    with here.draft() as draft:
        draft.weights_path.write_bytes(b"weights")
        file = WeightsFile.of(draft.weights_path, "float32")
        draft.weights_path.write_bytes(b"others!")
        with pytest.raises(BrokenVersion):
            draft.publish(lambda number: manifest.model_copy(update={"version": number, "weights": file}))

    assert here.versions() == ()
