import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catdog.datasets.layout import Layout, arrange, printable, split_of
from catdog.errors import UnclearFolders


def arranged(*names: str, folders: Sequence[str] = ()) -> Layout:
    return arrange(list(map(PurePosixPath, names)), list(map(PurePosixPath, folders)))


def said(layout: Layout) -> dict[str, tuple[str, str | None]]:
    return {str(picture): (place.label, place.split) for picture, place in layout.pictures.items()}


@pytest.mark.parametrize("around", ["", "photos/", "a/b/c/"])
def test_class_folders_are_found_in_whatever_holds_them_all(around: str) -> None:
    assert set(said(arranged(f"{around}cat/1", f"{around}dog/1")).values()) == {("cat", None), ("dog", None)}


@pytest.mark.parametrize("around", ["", "archive/", "a/b/"])
@pytest.mark.parametrize("inside", ["", "photos/", "training_set/"])
def test_splits_are_found_as_far_down_as_they_are(around: str, inside: str) -> None:
    names = {f"{split}/{inside}{label}/1": (label, split) for split in ("train", "test") for label in ("cat", "dog")}

    assert said(arranged(*(around + name for name in names))) == {around + name: place for name, place in names.items()}


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("training_set", "train"),
        ("Training-Set", "train"),
        ("val", "validation"),
        ("Valid", "validation"),
        ("validation_set", "validation"),
        ("dev", "validation"),
        ("TEST", "test"),
        ("testing", "test"),
        ("test set", "test"),
        ("train_data", "train"),
        ("Validation Images", "validation"),
        ("trains", None),
        ("trainer", None),
        ("cat", None),
    ],
)
def test_splits_go_by_many_names(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_splits_may_be_in_the_class_folders() -> None:
    assert said(arranged("cat/train/1", "cat/val/2", "dog/train/3")) == {
        "cat/train/1": ("cat", "train"),
        "cat/val/2": ("cat", "validation"),
        "dog/train/3": ("dog", "train"),
    }


def test_pictures_beside_the_class_folders_are_in_no_class() -> None:
    layout = arranged("photos/cat/1", "photos/dog/1", "photos/all.png")

    assert dict(layout.skipped) == {PurePosixPath("photos/all.png"): "it is in no class folder"}


def test_folders_below_a_class_are_of_the_class() -> None:
    assert set(said(arranged("cat/1", "cat/kittens/2", "dog/1")).values()) == {("cat", None), ("dog", None)}


def test_class_folders_and_splits_without_a_picture_are_listed() -> None:
    plain = arranged("photos/cat/1", "photos/dog/1", folders=["photos/bird", "docs", "photos/cat/more"])
    split = arranged("train/cat/1", "train/dog/1", folders=["test/cat", "train/bird", "docs"])

    assert plain.empty == (PurePosixPath("photos/bird"),)
    assert split.empty == (PurePosixPath("test"), PurePosixPath("train/bird"))


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["images/cat/1", "images/dog/1", "docs/readme"], "images"),
        (["monday/cat/1", "tuesday/cat/1"], "monday"),
        (["cat/holiday/1"], "cat"),
        (["cat/a/1", "cat/b/1", "dog/1"], "cat"),
        (["train/cat/1", "holdout/cat/1"], "holdout/cat/1"),
        (["train/1", "car/1"], "train"),
        (["train/1", "test/1"], "train/1"),
        (["train/cat/1", "test/1"], "test/1"),
        (["train/train/1", "train/val/2"], "train"),
        (["1", "2"], None),
        ([], None),
    ],
)
def test_folders_that_can_be_read_in_two_ways_are_refused_with_what_was_seen(
    names: list[str], place: str | None
) -> None:
    with pytest.raises(UnclearFolders, match=r"seen: .*; wanted: <class>/photo.jpg") as caught:
        arranged(*names)
    assert caught.value.place == place


def test_a_class_may_be_called_train_within_a_split() -> None:
    with pytest.raises(UnclearFolders, match="if it is a class, put all class folders into a folder called train"):
        arranged("vehicles/train/1", "vehicles/car/1")

    assert set(said(arranged("train/train/1", "train/car/1")).values()) == {("train", "train"), ("car", "train")}


def test_what_was_seen_is_cut_short_and_can_be_printed() -> None:
    with pytest.raises(UnclearFolders, match=r"a/0\\xe4/ \(1\).* and 94 more") as caught:
        arranged(*(f"a/{number}\udce4/1" for number in range(100)), "b/1", "c/1")
    str(caught.value).encode()


def test_classes_that_differ_in_case_alone_are_refused() -> None:
    with pytest.raises(UnclearFolders, match="only in upper and lower case: Cat, cat"):
        arranged("train/Cat/1", "test/cat/2", "test/dog/3")


def test_folders_whose_names_mean_the_same_class_are_one() -> None:
    layout = arranged(*(f"{unicodedata.normalize(form, 'été')}/1" for form in ("NFC", "NFD")), "dog/1")

    assert layout.classes == ("dog", "été")


@pytest.mark.parametrize("name", ["unknown", "🐱", "x" * 101, "a:b"])
def test_a_class_folder_whose_name_is_no_class_s_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(UnclearFolders, match="can't be the name of a class"):
        arranged("cat/1", f"{name}/1")


def test_a_path_of_thousands_of_folders_costs_no_more_than_one_of_sixteen() -> None:
    with pytest.raises(UnclearFolders):
        arranged("/".join("a" * 30_000), "b/1")


NAMES = st.sampled_from(["cat", "dog", "train", "val", "test", "photos", "é", "K\udce4t", "unknown"])
PATHS = st.lists(NAMES, max_size=4).map("/".join)


@given(st.sets(st.tuples(PATHS, st.integers(0, 9)), max_size=12), st.sets(PATHS, max_size=4))
def test_any_folders_are_refused_or_every_picture_is_in_a_class_or_named(
    files: set[tuple[str, int]], folders: set[str]
) -> None:
    pictures = [PurePosixPath(folder, f"{number}.jpg") for folder, number in sorted(files)]
    try:
        layout = arrange(pictures, sorted(map(PurePosixPath, folders)))
    except UnclearFolders as error:
        str(error).encode()
        return
    assert set(layout.pictures) | set(layout.skipped) == set(pictures)
    assert not set(layout.pictures) & set(layout.skipped)
    assert all(place.label in map(str, picture.parts) for picture, place in layout.pictures.items())
    assert all(place.split in map(split_of, picture.parts) for picture, place in layout.pictures.items() if place.split)
    assert len({place.split is None for place in layout.pictures.values()}) == 1
    assert not {"train", "val", "test"} >= set(layout.classes)


@given(st.binary(max_size=20))
def test_any_name_can_be_shown(name: bytes) -> None:
    shown = printable(name.decode("utf-8", "surrogateescape"))

    assert shown.isprintable()
    shown.encode()
