"""Every picture is in one split, and every class has a picture to train on."""

from hashlib import sha256

import pytest

from catdog.datasets.datasets import Datasets
from catdog.datasets.picture_files import New
from catdog.splits import by_content
from tests.catdog.datasets.test_datasets import add, correct


def held_out(number: int) -> list[bytes]:
    """Contents that are drawn into validation or test."""
    contents = (b"photo %d" % count for count in range(1_000))
    return [content for content in contents if by_content(sha256(content).hexdigest()) != "train"][:number]


def splits(datasets: Datasets) -> dict[str, str]:
    return {picture.sha256: picture.split for picture in datasets.pictures("pets")}


def test_the_first_picture_of_a_class_trains_and_stays_as_the_class_grows(datasets: Datasets) -> None:
    first, *others = held_out(20)

    ((picture, _),) = add(datasets, first)
    add(datasets, *(b"%d" % number for number in range(20)))
    for other in others:
        add(datasets, other)

    assert picture.split == "train"
    found = splits(datasets)
    assert found.pop(picture.sha256) == "train"
    assert found == {sha256: by_content(sha256) for sha256 in found}


def test_a_picture_that_trains_by_necessity_is_there_once_however_often_it_comes(datasets: Datasets) -> None:
    (first,) = held_out(1)

    added = [add(datasets, first)[0] for _ in range(2)]

    assert [is_new for _, is_new in added] == [True, False]
    assert [picture.split for picture, _ in added] == ["train", "train"]
    assert len(datasets.pictures("pets")) == 1


def test_every_class_of_many_added_at_once_has_a_training_picture(datasets: Datasets) -> None:
    contents = held_out(12)
    with datasets.incoming() as folder:
        new = []
        for number, content in enumerate(contents):
            (folder / str(number)).write_bytes(content)
            new.append(New(folder / str(number), "", f"class {number // 3}"))
        added = datasets.add("pets", new, "archive")

    assert datasets.pictures("pets") == [picture for picture, _ in added]
    for label in {one.label for one in new}:
        assert sum(one.split == "train" for one, _ in added if one.label == label) == 1


def test_the_same_content_under_two_labels_is_in_one_split(datasets: Datasets) -> None:
    first, second = held_out(2)
    add(datasets, first, label="cat")
    add(datasets, second, label="dog", split="test")

    add(datasets, first, label="dog")
    add(datasets, second, label="cat")

    found: dict[str, set[str]] = {}
    for picture in datasets.pictures("pets"):
        found.setdefault(picture.sha256, set()).add(picture.split)
    assert found == {sha256(first).hexdigest(): {"train"}, sha256(second).hexdigest(): {"test"}}


def test_a_class_whose_last_training_picture_goes_keeps_another(datasets: Datasets) -> None:
    first, second, third = held_out(3)
    add(datasets, first, second)
    add(datasets, third, label="dog")
    gone = next(picture for picture in datasets.pictures("pets") if picture.split == "train")

    datasets.remove("pets", gone.sha256)
    add(datasets, b"3", b"4", b"5")

    (kept,) = {sha256(content).hexdigest() for content in (first, second)} - {gone.sha256}
    assert splits(datasets)[kept] == "train"

    correct(datasets, first if kept == sha256(first).hexdigest() else second, "dog")
    assert any(picture.split == "train" for picture in datasets.pictures("pets") if picture.label == "cat")


def test_a_picture_that_a_person_chose_to_test_with_is_never_trained_on(datasets: Datasets) -> None:
    add(datasets, b"a cat", split="test")

    assert set(splits(datasets).values()) == {"test"}


def test_a_picture_stays_in_its_split_as_the_set_grows(datasets: Datasets) -> None:
    first = {added.picture.sha256: added.picture.split for added in add(datasets, *(b"%d" % n for n in range(200)))}
    add(datasets, *(b"%d" % n for n in range(200, 400)))

    after = {picture.sha256: picture.split for picture in datasets.pictures("pets")}

    assert first.items() <= after.items()
    assert all(split == by_content(digest) for digest, split in after.items())
    shares = [list(after.values()).count(split) / 400 for split in ("train", "validation", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.05)


def test_a_split_that_somebody_chose_is_kept(datasets: Datasets) -> None:
    add(datasets, *(b"%d" % n for n in range(20)), split="test")

    assert {picture.split for picture in datasets.pictures("pets")} == {"test"}
