import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from catdog import images
from catdog.errors import CatdogError, DatasetError
from tests.photos import draw, draw_set
from training.data import dataset
from training.data.dataset import Photo
from training.data.pixels import Labelled, decode


def names(photos: Sequence[Photo]) -> set[str]:
    return {photo.name for photo in photos}


def unexpected(photo: Photo, error: CatdogError) -> None:
    raise error


def test_classes_are_the_folders_names_in_order(tmp_path: Path) -> None:
    draw_set(tmp_path, 30, ("fish", "cat", "dog"))

    assert dataset.read(tmp_path).classes == ("cat", "dog", "fish")


def test_given_splits_stay_as_they_are(split_photos: Path) -> None:
    assert dataset.read(split_photos).counts() == {
        "train": {"cat": 16, "dog": 16},
        "validation": {"cat": 6, "dog": 6},
        "test": {"cat": 30, "dog": 30},
    }


def test_plain_class_folders_are_split_in_three(tmp_path: Path) -> None:
    found = dataset.read(draw_set(tmp_path, 150), share=0.2)

    sizes = {split: len(photos) for split, photos in found.splits.items()}
    assert sum(sizes.values()) == 300
    assert 35 <= sizes["validation"] <= 85
    assert 35 <= sizes["test"] <= 85


def test_without_a_validation_folder_a_share_of_train_becomes_it(tmp_path: Path) -> None:
    draw_set(tmp_path / "train", 50)
    draw_set(tmp_path / "test", 3, first=5000)

    found = dataset.read(tmp_path, share=0.3)

    assert len(found.splits["train"]) + len(found.splits["validation"]) == 100
    assert len(found.splits["validation"]) > 10
    assert len(found.splits["test"]) == 6


def test_the_same_content_never_falls_on_both_sides(tmp_path: Path) -> None:
    draw_set(tmp_path, 40)
    for photo in list((tmp_path / "cat").iterdir()):
        (tmp_path / "cat" / f"copy-of-{photo.name}").write_bytes(photo.read_bytes())

    splits = dataset.read(tmp_path, share=0.3).splits

    contents = [{photo.sha256 for photo in photos} for photos in splits.values()]
    assert sum(map(len, contents)) == len(set.union(*contents)) == 80


def test_a_photo_stays_in_its_split_as_the_set_grows(tmp_path: Path) -> None:
    before = dataset.read(draw_set(tmp_path, 40), share=0.3)
    draw_set(tmp_path, 80)

    after = dataset.read(tmp_path, share=0.3)

    for split, photos in before.splits.items():
        assert {p.sha256 for p in photos} <= {p.sha256 for p in after.splits[split]}


def test_another_seed_splits_otherwise(tmp_path: Path) -> None:
    draw_set(tmp_path, 60)

    first, second = (dataset.read(tmp_path, seed) for seed in (1, 2))

    assert first.splits["validation"] != second.splits["validation"]
    assert first.fingerprint != second.fingerprint


def test_the_fingerprint_is_of_content_and_not_of_names(tmp_path: Path) -> None:
    draw_set(tmp_path / "a", 60)
    draw_set(tmp_path / "b", 60)
    (tmp_path / "b" / "cat" / "0.png").rename(tmp_path / "b" / "cat" / "zero.png")

    assert dataset.read(tmp_path / "a").fingerprint == dataset.read(tmp_path / "b").fingerprint


def test_hidden_files_are_no_photos(tmp_path: Path) -> None:
    draw_set(tmp_path, 60)
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"x")

    assert sum(len(photos) for photos in dataset.read(tmp_path).splits.values()) == 120


def test_a_single_class_is_an_error(tmp_path: Path) -> None:
    draw_set(tmp_path, 3, ("cat",))

    with pytest.raises(DatasetError, match=r"1 class folder \(cat\)"):
        dataset.read(tmp_path)


def test_a_single_class_beside_a_folder_that_was_left_out_says_so(tmp_path: Path) -> None:
    draw_set(tmp_path, 3)
    (tmp_path / "cat").rename(tmp_path / os.fsdecode(b"K\xe4tzchen"))

    with pytest.raises(DatasetError, match=r"of 1 left out the first is K\\xe4tzchen: its name isn't UTF-8"):
        dataset.read(tmp_path)


def test_an_empty_class_is_an_error_that_names_its_folder(tmp_path: Path) -> None:
    draw_set(tmp_path, 3, ("cat",))
    (tmp_path / "dog").mkdir()

    with pytest.raises(DatasetError, match="dog contains no photo"):
        dataset.read(tmp_path)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere is not a folder"):
        dataset.read(tmp_path / "nowhere")


def test_a_class_that_only_validation_knows_is_an_error(tmp_path: Path) -> None:
    draw_set(tmp_path / "train", 2)
    draw_set(tmp_path / "validation", 2, ("cat", "dog", "fish"))

    with pytest.raises(DatasetError, match="fish"):
        dataset.read(tmp_path)


def test_folders_within_folders_are_refused_and_never_classes_of_classes(tmp_path: Path) -> None:
    draw_set(tmp_path / "monday", 2)
    draw_set(tmp_path / "tuesday", 2)

    with pytest.raises(DatasetError, match=r"may be a class.*seen: monday/cat/ \(2\)"):
        dataset.read(tmp_path)


def test_splits_may_have_other_names(tmp_path: Path) -> None:
    draw_set(tmp_path / "photos" / "training_set" / "training_set", 3)
    draw_set(tmp_path / "photos" / "Val", 2, first=5000)
    draw_set(tmp_path / "photos" / "testing", 1, first=6000)

    assert dataset.read(tmp_path).counts() == {
        "train": {"cat": 3, "dog": 3},
        "validation": {"cat": 2, "dog": 2},
        "test": {"cat": 1, "dog": 1},
    }


def test_a_folder_beside_splits_that_is_none_is_an_error(tmp_path: Path) -> None:
    draw_set(tmp_path / "train", 2)
    draw_set(tmp_path / "holdout", 2)

    with pytest.raises(DatasetError, match=r"all must be in train, validation or test: 'holdout/cat/0\.png'"):
        dataset.read(tmp_path)


def test_what_is_no_photo_is_reported_and_left_out(tmp_path: Path) -> None:
    draw_set(tmp_path, 40)
    (tmp_path / "cat" / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "dog" / "notes.txt").write_text("my dogs")
    reported: dict[str, str] = {}

    found = dataset.read(tmp_path, report=lambda photo, error: reported.update({photo.name: str(error)}))

    assert sum(len(photos) for photos in found.splits.values()) == 80
    assert reported["gone.jpg"] == "it is a link that leads nowhere"
    assert "not an image" in reported["notes.txt"]


def test_a_class_is_called_what_its_folder_is_in_composed_characters(tmp_path: Path) -> None:
    draw_set(tmp_path, 40)
    (tmp_path / "cat").rename(tmp_path / unicodedata.normalize("NFD", "châts"))

    assert dataset.read(tmp_path).classes == ("châts", "dog")


def test_evaluation_finds_the_class_whatever_the_case_of_the_folder(tmp_path: Path) -> None:
    draw_set(tmp_path, 2)
    (tmp_path / "cat").rename(tmp_path / "Cat")

    assert [photo.label for photo in dataset.read_split(tmp_path, ("cat", "dog"))] == [0, 0, 1, 1]


@pytest.mark.parametrize("photos", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(6))
def test_every_class_keeps_a_photo_to_train_on(tmp_path: Path, photos: int, seed: int) -> None:
    draw_set(tmp_path, photos, ("cat", "dog", "fish"))

    found = dataset.read(tmp_path, seed, share=0.4)

    assert all(found.counts()["train"].values())
    assert sum(map(len, found.splits.values())) == 3 * photos


def test_a_thousand_classes_of_three_photos_can_be_split(tmp_path: Path) -> None:
    for number in range(3_000):
        file = tmp_path / f"class {number // 3}" / f"{number}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"photo %d" % number)

    found = dataset.read(tmp_path)

    assert len(found.classes) == 1_000
    assert all(found.counts()["train"].values())
    assert 150 < len(found.splits["validation"]) < 450
    assert 150 < len(found.splits["test"]) < 450


@pytest.mark.parametrize("photos", [2, 5])
def test_a_finetuning_without_photos_to_validate_with_takes_some_from_training(tmp_path: Path, photos: int) -> None:
    found = dataset.read(draw_set(tmp_path, photos), share=0.0001)

    suited = found.suited_to("finetune", 0)

    assert found.splits["validation"] == ()
    assert found.suited_to("head", 0) is found
    assert len(suited.splits["validation"]) == 1
    assert all(suited.counts()["train"].values())
    assert set(suited.splits["train"]) | set(suited.splits["validation"]) == set(found.splits["train"])
    assert suited.suited_to("finetune", 0) is suited


def test_a_finetuning_on_one_photo_of_each_class_is_refused(tmp_path: Path) -> None:
    found = dataset.read(draw_set(tmp_path, 1), share=0.0001)

    with pytest.raises(DatasetError, match="--strategy head"):
        found.suited_to("full", 0)


def test_a_class_without_a_readable_photo_is_an_error(split_photos: Path) -> None:
    found = dataset.read(split_photos)
    cats = tuple(photo for photo in found.splits["train"] if photo.label == 0)

    with pytest.raises(DatasetError, match="no readable training photo of dog; add some"):
        found.with_only({"train": cats})


def test_a_class_that_answers_could_not_be_told_from_is_not_trained_whatever_set_it_is_in(split_photos: Path) -> None:
    found = dataset.read(split_photos)

    with pytest.raises(DatasetError, match="'Unknown' can't be the name of a class"):
        dataset.Dataset(("Unknown", "dog"), found.splits)


def test_broken_photos_are_reported_and_left_out(tmp_path: Path) -> None:
    draw(tmp_path / "cat" / "whole.png", "cat", 1)
    (tmp_path / "cat" / "broken.png").write_bytes((tmp_path / "cat" / "whole.png").read_bytes()[:100])
    (tmp_path / "cat" / "text.txt").write_text("not a photo")
    photos = [Photo(path, 0, path.name, path.name) for path in sorted((tmp_path / "cat").iterdir())]
    reported: dict[str, Exception] = {}

    kept, pixels = decode(photos, lambda photo, error: reported.update({photo.name: error}))

    assert names(kept) == {"whole.png"}
    assert set(reported) == {"broken.png", "text.txt"}
    assert np.array_equal(pixels, images.decode((tmp_path / "cat" / "whole.png").read_bytes())[None])


def test_pixels_can_live_in_a_file(split_photos: Path, tmp_path: Path) -> None:
    photos = dataset.read(split_photos).splits["validation"]

    _, in_memory = decode(photos, unexpected)
    _, on_disk = decode(photos, unexpected, tmp_path / "pixels.npy")

    assert np.array_equal(in_memory, on_disk)
    assert np.array_equal(np.load(tmp_path / "pixels.npy", mmap_mode="r"), in_memory)


def test_labelled_photos_come_in_other_sizes_too() -> None:
    labelled = Labelled(np.full((2, 224, 224, 3), 7, np.uint8), np.array([0, 1]), 2)

    assert labelled.at(64).shape == (2, 64, 64, 3)
    assert (labelled.at(64) == 7).all()
    assert labelled.at(224) is labelled.photos


def test_evaluation_takes_test_before_validation(split_photos: Path) -> None:
    assert len(dataset.read_split(split_photos, ("cat", "dog"))) == 60
    assert len(dataset.read_split(split_photos, ("cat", "dog"), "validation")) == 12


def test_evaluation_takes_plain_class_folders_whole(tmp_path: Path) -> None:
    assert len(dataset.read_split(draw_set(tmp_path, 5), ("cat", "dog"))) == 10


def test_evaluation_on_a_split_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no folder test"):
        dataset.read_split(draw_set(tmp_path, 1), ("cat", "dog"), "test")
