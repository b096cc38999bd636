import shutil
from pathlib import Path

import pytest

from catdog.database import Database
from catdog.datasets import folders
from catdog.datasets.datasets import Datasets
from catdog.errors import DatasetError
from catdog.splits import by_content
from tests.photos import draw, draw_set
from training.data import service_datasets


@pytest.fixture
def datasets(database: Database, tmp_path: Path) -> Datasets:
    return Datasets(database, tmp_path / "data")


def test_a_folder_of_classes_is_taken_in_and_split_by_content(datasets: Datasets, tmp_path: Path) -> None:
    added, skipped, empty, _ = service_datasets.import_folder(draw_set(tmp_path / "photos", 30), datasets, "pets")

    classes, splits = service_datasets.photos(datasets, "pets")
    assert (len(added), skipped, empty, classes) == (60, {}, [], ("cat", "dog"))
    assert {split: {by_content(photo.sha256) for photo in photos} for split, photos in splits.items()} == {
        split: {split} for split in ("train", "validation", "test")
    }
    assert all(photo.path.read_bytes() and photo.name.endswith(".png") for photo in splits["train"])
    assert (tmp_path / "photos" / "cat" / "0.png").exists(), "a copy is taken"


def test_folders_of_splits_are_taken_at_their_word(datasets: Datasets, split_photos: Path) -> None:
    service_datasets.import_folder(split_photos, datasets, "pets")

    _, splits = service_datasets.photos(datasets, "pets")
    assert {split: len(photos) for split, photos in splits.items()} == {"train": 32, "validation": 12, "test": 60}


def test_what_is_taken_in_twice_is_there_once(datasets: Datasets, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 5)
    service_datasets.import_folder(photos, datasets, "pets")
    draw(photos / "cat" / "new.png", "cat", seed=77_777)

    added = service_datasets.import_folder(photos, datasets, "pets").added

    assert sum(one.is_new for one in added) == 1
    assert len(datasets.pictures("pets")) == 11


def test_what_is_no_photo_is_left_out_and_told(datasets: Datasets, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 2)
    (photos / "cat" / "notes.txt").write_text("text")
    (photos / "cat" / ".hidden").write_text("text")
    (photos / "readme.txt").write_text("text")
    (photos / "cat" / "empty.jpg").touch()
    (photos / "cat" / "link.jpg").symlink_to("nowhere.jpg")
    (photos / "cat" / "text.jpg").write_text("text")
    (photos / "bird").mkdir()

    added, skipped, empty, _ = service_datasets.import_folder(photos, datasets, "pets")

    assert len(added) == 4
    assert {file.name: reason.partition(";")[0] for file, reason in skipped.items()} == {
        "notes.txt": "the bytes are not an image",
        "readme.txt": "the bytes are not an image",
        "text.jpg": "the bytes are not an image",
        "empty.jpg": "it is empty",
        "link.jpg": "it is a link that leads nowhere",
    }
    assert empty == [photos / "bird"]


def test_a_class_in_another_case_is_taken_for_the_one_that_is_there(datasets: Datasets, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 2)
    service_datasets.import_folder(photos, datasets, "pets")
    (photos / "cat").rename(photos / "Cat")
    draw(photos / "Cat" / "new.png", "cat", seed=7)

    assert service_datasets.import_folder(photos, datasets, "pets").renamed == {"Cat": "cat"}
    assert service_datasets.photos(datasets, "pets")[0] == ("cat", "dog")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda root: None, "is not a folder"),
        (lambda root: root.mkdir(), "no picture in a class folder"),
        (lambda root: draw(root / "cat.png", "cat", 1), "no picture in a class folder"),
        (lambda root: draw(root / ("x" * 101) / "1.png", "cat", 1), "1 to 100 letters"),
    ],
)
def test_a_folder_that_cannot_be_taken_in_is_refused_whole(
    datasets: Datasets, tmp_path: Path, make: "object", reason: str
) -> None:
    make(tmp_path / "photos")  # type: ignore[operator]

    with pytest.raises(DatasetError, match=reason):
        service_datasets.import_folder(tmp_path / "photos", datasets, "pets")
    assert datasets.names() == ()


def test_a_folder_is_seen_as_it_would_be_stored(datasets: Datasets, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 20)
    service_datasets.import_folder(photos, datasets, "pets")

    def contents(splits: service_datasets.Splits) -> dict[str, set[tuple[str, int]]]:
        return {split: {(photo.sha256, photo.label) for photo in part} for split, part in splits.items()}

    classes, splits = service_datasets.of_folder(photos, folders.read(photos))
    assert (classes, contents(splits)) == (("cat", "dog"), contents(service_datasets.photos(datasets, "pets")[1]))


def test_an_empty_class_folder_is_a_class_to_look_at(tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 3)
    (photos / "bird").mkdir()
    (photos / "notes").mkdir()
    (photos / "notes" / "1.txt").write_text("text")

    assert service_datasets.of_folder(photos, folders.read(photos))[0] == ("bird", "cat", "dog")


def test_a_set_of_one_class_can_be_looked_at(tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 3)
    shutil.rmtree(photos / "dog")

    assert service_datasets.of_folder(photos, folders.read(photos))[0] == ("cat",)
