"""Changes to many pictures at once, and undoing them."""

from pathlib import Path

import pytest
from sqlalchemy import update

from catdog.database import Database
from catdog.datasets.changes import Changes
from catdog.datasets.datasets import Datasets
from catdog.datasets.errors import ChangeNotFound, DatasetExists, DatasetInUse, DatasetNotFound
from catdog.datasets.listing import Listing
from catdog.datasets.picture_files import Filter
from catdog.errors import DatasetError
from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from catdog.tables import pictures
from tests.catdog.datasets.test_datasets import add, files


@pytest.fixture
def changes(database: Database) -> Changes:
    return Changes(database)


def state(datasets: Datasets) -> dict[str, list[tuple[str, str, str]]]:
    """Content, class and split of every picture, by data set."""
    return {
        name: sorted((one.sha256, one.label, one.split) for one in datasets.pictures(name)) for name in datasets.names()
    }


def classes(datasets: Datasets, name: str = "pets") -> dict[str, int]:
    found: dict[str, int] = {}
    for one in datasets.pictures(name):
        found[one.label] = found.get(one.label, 0) + 1
    return found


def test_pictures_get_another_class_and_their_own_back(datasets: Datasets, changes: Changes, listing: Listing) -> None:
    add(datasets, b"1", b"2", b"3")
    add(datasets, b"4", label="dog")
    before = state(datasets)
    some = listing.ids("pets", Filter(label="cat"))[:2]

    change = changes.make("pets", "label", "Dog", some)

    assert (change.pictures, change.target) == (2, "dog")
    assert classes(datasets) == {"cat": 1, "dog": 3}
    assert set(some) <= set(listing.ids("pets", Filter(label="dog")))
    changes.undo(change.id)
    assert state(datasets) == before


def test_a_deleted_picture_keeps_its_file_until_the_change_is_forgotten(
    datasets: Datasets, changes: Changes, listing: Listing, tmp_path: Path
) -> None:
    add(datasets, b"1", b"2")
    before, stored = state(datasets), files(tmp_path / "data" / "pictures")
    (newest, oldest) = listing.ids("pets", Filter())

    change = changes.make("pets", "delete", ids=[newest])
    assert (datasets.sweep(), files(tmp_path / "data" / "pictures")) == (0, stored)
    assert len(datasets.pictures("pets")) == 1
    changes.undo(change.id)
    assert state(datasets) == before
    assert listing.ids("pets", Filter()) == [newest, oldest]

    changes.make("pets", "delete", ids=[newest])
    assert changes.forget(days=1) == 0
    assert changes.forget(days=0) == 2
    assert datasets.sweep() == 1
    assert len(files(tmp_path / "data" / "pictures")) == 1


def test_a_picture_that_is_there_already_is_not_there_twice(
    datasets: Datasets, changes: Changes, listing: Listing
) -> None:
    add(datasets, b"1", b"2")
    add(datasets, b"1", label="dog")
    before = state(datasets)

    change = changes.make("pets", "label", "dog", listing.ids("pets", Filter()))

    assert classes(datasets) == {"dog": 2}
    changes.undo(change.id)
    assert state(datasets) == before


def test_a_split_belongs_to_all_labels_of_a_content(datasets: Datasets, changes: Changes, listing: Listing) -> None:
    add(datasets, b"1", b"2", b"3", split="train")
    add(datasets, b"1", label="dog", split="train")
    (of_dog,) = listing.ids("pets", Filter(label="dog"))

    change = changes.make("pets", "split", "test", [of_dog])

    assert change.pictures == 2
    assert [one.split for one in datasets.pictures("pets") if one.name == "0.jpg"] == ["test", "test"]
    assert len(listing.ids("pets", Filter(split="test"))) == 2
    with pytest.raises(DatasetError, match="there is no split 'exam'"):
        changes.make("pets", "split", "exam", [of_dog])


def test_a_data_set_is_renamed_and_named_back(datasets: Datasets, changes: Changes) -> None:
    add(datasets, b"1", b"2")
    datasets.create("empty")
    before = state(datasets)

    with pytest.raises(DatasetExists):
        changes.rename("pets", "empty")
    change = changes.rename("pets", "animals")
    assert datasets.names() == ("animals", "empty")
    changes.rename("empty", "none")
    assert datasets.names() == ("animals", "none")

    changes.undo(change.id)
    assert state(datasets)["pets"] == before["pets"]


def test_two_data_sets_become_one_with_the_spelling_of_the_second(datasets: Datasets, changes: Changes) -> None:
    add(datasets, b"1", b"2", b"3", label="Cat", to="more")
    add(datasets, b"3", b"4")
    before = state(datasets)

    change = changes.make("more", "dataset", "pets")

    assert datasets.names() == ("pets",)
    assert classes(datasets) == {"cat": 4}
    changes.undo(change.id)
    assert state(datasets)["more"] == before["more"]


def test_a_deleted_data_set_comes_back(
    database: Database, datasets: Datasets, changes: Changes, listing: Listing
) -> None:
    add(datasets, b"1", b"2")
    add(datasets, b"5", to="others")
    before, (_, oldest) = state(datasets), listing.ids("pets", Filter())

    change = changes.make("pets", "delete")
    assert datasets.names() == ("others",)
    with database.writing() as connection:  # databases of an earlier version of catdog give a number twice
        connection.execute(update(pictures).where(pictures.c.dataset == "others").values(id=oldest))

    changes.undo(change.id)
    assert state(datasets) == before


def test_an_empty_data_set_comes_back_and_is_not_lost_by_merging_it_into_itself(
    datasets: Datasets, changes: Changes
) -> None:
    datasets.create("pets")
    changes.make("pets", "dataset", "pets")
    assert datasets.names() == ("pets",)

    change = changes.make("pets", "delete")
    assert datasets.names() == ()
    changes.undo(change.id)
    assert datasets.names() == ("pets",)


def test_a_class_keeps_a_training_picture(datasets: Datasets, changes: Changes, listing: Listing) -> None:
    add(datasets, *(b"%d" % number for number in range(40)))
    trained = listing.ids("pets", Filter(split="train"))

    changes.make("pets", "delete", ids=trained)

    assert [one.split for one in datasets.pictures("pets")].count("train") == 1


@pytest.mark.parametrize("is_claimed", [False, True])
def test_a_data_set_that_a_training_reads_is_refused(
    database: Database, datasets: Datasets, changes: Changes, is_claimed: bool
) -> None:
    add(datasets, b"1")
    job = Jobs(database).submit({"dataset": "pets"})
    lease = Jobs(database).claim("the test") if is_claimed else None

    reason = f"{'running' if is_claimed else 'queued'} .job {job.id}"
    with pytest.raises(DatasetInUse, match=reason):
        changes.make("pets", "delete")
    with pytest.raises(DatasetInUse, match=reason):
        changes.rename("pets", "animals")
    assert datasets.names() == ("pets",)

    if lease is None:
        Jobs(database).cancel(job.id)
    else:
        lease.end(Status.FAILED, "the test")
    changes.make("pets", "delete")
    assert datasets.names() == ()


def test_what_is_not_there_is_refused(datasets: Datasets, changes: Changes) -> None:
    add(datasets, b"1")

    with pytest.raises(DatasetNotFound):
        changes.make("birds", "delete")
    with pytest.raises(ChangeNotFound):
        changes.undo(1)
    change = changes.make("pets", "label", "dog", [10_000])
    assert change.pictures == 0
    changes.undo(change.id)
    with pytest.raises(ChangeNotFound):
        changes.undo(change.id)
    assert changes.newest(10) == []


def test_a_picture_that_was_removed_for_good_does_not_come_back(
    datasets: Datasets, changes: Changes, listing: Listing, tmp_path: Path
) -> None:
    ((picture, _),) = add(datasets, b"1")
    add(datasets, b"2")
    change = changes.make("pets", "label", "dog", listing.ids("pets", Filter()))

    datasets.remove("pets", picture.sha256)

    assert len(files(tmp_path / "data" / "pictures")) == 1
    changes.undo(change.id)
    assert len(datasets.pictures("pets")) == 1
