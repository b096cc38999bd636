import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from catdog.network.architecture import Architecture, Network
from tests.networks import random_arrays
from tests.photos import brightened, compressed, cropped, draw, draw_set, halved
from training.data import checks, dataset, features
from training.data.checks import Finding, Findings, Kind

NETWORK = Architecture(2, width=1 / 8)  # with fewer features no model trained on so few photos is confident
ARRAYS = random_arrays(NETWORK)
CLASSES = ("cat", "dog")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Enough photos without problems: 20 training, 10 validation and 10 test photos of cats and dogs each."""
    for place, (split, number) in enumerate((("train", 20), ("validation", 10), ("test", 10))):
        draw_set(tmp_path / "photos" / split, number, first=1000 * place)
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture
def examine(photos: Path, cache: Path) -> Callable[[], Findings]:
    return lambda: checks.examine(CLASSES, splits(photos), Network(NETWORK, ARRAYS), cache)


def splits(photos: Path) -> dict[str, tuple[dataset.Photo, ...]]:
    return {folder.name: dataset.read_split(photos, CLASSES, folder.name) for folder in sorted(photos.iterdir())}


def finding(findings: Findings, kind: Kind) -> Finding:
    (found,) = [finding for finding in findings.findings if finding.kind == kind]
    return found


def places(found: Finding) -> list[str]:
    return sorted(f"{photo.split}/{photo.label}/{photo.name}" for photo in found.photos)


def test_a_sound_set_has_no_findings(examine: Callable[[], Findings]) -> None:
    findings = examine()

    assert findings == Findings(photos=80, findings=())
    assert findings.table() == "80 photos examined, nothing found"


def test_a_photo_that_cannot_be_read_is_found_with_the_reason(photos: Path, examine: Callable[[], Findings]) -> None:
    (photos / "train" / "cat" / "text.jpg").write_text("no photo")

    found = finding(examine(), "unreadable")

    assert places(found) == ["train/cat/text.jpg"]
    assert found.sentence.startswith("1 photo can't be read")
    assert "not an image" in found.photos[0].note


def test_a_file_twice_in_one_class_is_a_duplicate(photos: Path, examine: Callable[[], Findings]) -> None:
    shutil.copy(photos / "train" / "cat" / "0.png", photos / "train" / "cat" / "copy.png")

    findings = examine()

    assert [found.kind for found in findings.findings] == ["duplicate"]
    assert places(findings.findings[0]) == ["train/cat/0.png", "train/cat/copy.png"]
    assert findings.findings[0].sentence.startswith("2 photos of 1 picture:")


@pytest.mark.parametrize("alter", [halved, compressed, brightened, cropped])
def test_an_altered_copy_in_one_class_is_a_near_duplicate(
    alter: Callable[[Path, Path], None], photos: Path, examine: Callable[[], Findings]
) -> None:
    alter(photos / "train" / "dog" / "3.png", photos / "train" / "dog" / "copy.png")

    findings = examine()

    assert [found.kind for found in findings.findings] == ["near-duplicate"]
    assert places(findings.findings[0]) == ["train/dog/3.png", "train/dog/copy.png"]


def test_flat_pictures_are_no_copies_of_each_other(photos: Path, examine: Callable[[], Findings]) -> None:
    for grey in (100, 101, 102):
        Image.new("RGB", (32, 24), (160, grey, grey)).save(photos / "train" / "cat" / f"flat-{grey}.png")

    assert examine().findings == ()


def test_one_picture_under_two_labels_is_found(photos: Path, examine: Callable[[], Findings]) -> None:
    shutil.copy(photos / "train" / "cat" / "0.png", photos / "train" / "dog" / "same.png")
    compressed(photos / "train" / "cat" / "1.png", photos / "train" / "dog" / "alike.jpg")

    found = finding(examine(), "conflicting-labels")

    assert places(found) == ["train/cat/0.png", "train/cat/1.png", "train/dog/alike.jpg", "train/dog/same.png"]
    assert found.sentence.startswith("4 photos of 2 pictures:")
    assert found.photos[0].picture == found.photos[1].picture != found.photos[2].picture


def test_one_picture_in_two_splits_is_found(photos: Path, examine: Callable[[], Findings]) -> None:
    shutil.copy(photos / "train" / "cat" / "0.png", photos / "test" / "cat" / "same.png")
    halved(photos / "train" / "dog" / "0.png", photos / "validation" / "dog" / "alike.png")

    findings = examine()

    assert [found.kind for found in findings.findings] == ["leakage"]
    assert places(findings.findings[0]) == [
        "test/cat/same.png",
        "train/cat/0.png",
        "train/dog/0.png",
        "validation/dog/alike.png",
    ]


def test_a_photo_in_the_wrong_class_is_found_with_what_it_looks_like(
    photos: Path, examine: Callable[[], Findings]
) -> None:
    draw(photos / "validation" / "dog" / "truly-a-cat.png", "cat", seed=99)

    findings = examine()

    assert [found.kind for found in findings.findings] == ["likely-mislabel"]
    (photo,) = findings.findings[0].photos
    assert (photo.name, photo.label) == ("truly-a-cat.png", "dog")
    assert photo.note.startswith("cat 9")


def test_wrong_copies_of_one_picture_do_not_vouch_for_each_other(photos: Path, examine: Callable[[], Findings]) -> None:
    for copy in range(8):
        draw(photos / "train" / "dog" / f"cat-{copy}.png", "cat", seed=99)

    assert len(finding(examine(), "likely-mislabel").photos) == 8


def test_a_class_of_fewer_than_five_pictures_is_not_judged(photos: Path, cache: Path) -> None:
    draw(photos / "train" / "fish" / "truly-a-cat.png", "cat", seed=99)
    classes = ("cat", "dog", "fish")
    network = Architecture(3, NETWORK.width)
    with_fish = {"train": dataset.read_split(photos, classes, "train"), "validation": ()}

    findings = checks.examine(classes, with_fish, Network(network, random_arrays(network)), cache)

    assert [found.kind for found in findings.findings] == ["too-few", "imbalance"]


def test_too_few_photos_are_counted_by_split_and_class(photos: Path, examine: Callable[[], Findings]) -> None:
    (photos / "train" / "cat" / "0.png").unlink()
    (photos / "test" / "dog" / "0.png").write_text("can't be read")

    sentence = finding(examine(), "too-few").sentence

    assert "19 of cat in train (20 needed); 9 of dog in test (10 needed);" in sentence


def test_a_class_with_more_than_ten_times_the_photos_of_another_is_found(photos: Path, cache: Path) -> None:
    whole = splits(photos)
    cats = [photo for photo in whole["train"] if photo.label == 0]
    dogs = [photo for photo in whole["train"] if photo.label == 1]

    ten_times = checks.examine(CLASSES, whole | {"train": cats + dogs[:2]}, Network(NETWORK, ARRAYS), cache)
    more = checks.examine(CLASSES, whole | {"train": cats + dogs[:1]}, Network(NETWORK, ARRAYS), cache)

    assert [found.kind for found in ten_times.findings] == ["too-few"]
    assert finding(more, "imbalance").sentence.startswith("20 training photos of cat, but 1 of dog:")


def test_a_set_too_poor_to_train_on_can_be_examined(photos: Path, cache: Path) -> None:
    cats = [photo for photo in splits(photos)["train"] if photo.label == 0]

    findings = checks.examine(CLASSES, {"train": cats, "validation": []}, Network(NETWORK, ARRAYS), cache)
    nothing = checks.examine(CLASSES, {"train": [], "validation": []}, Network(NETWORK, ARRAYS), cache)

    assert "0 of dog in train" in finding(findings, "too-few").sentence
    assert [found.kind for found in findings.findings] == [found.kind for found in nothing.findings] == ["too-few"]


def test_a_single_class_is_found(photos: Path, cache: Path) -> None:
    cats = {split: [photo for photo in part if photo.label == 0] for split, part in splits(photos).items()}

    found = finding(checks.examine(("cat",), cats, Network(NETWORK, ARRAYS), cache), "single-class")

    assert "all photos are of cat, but a classifier needs at least two classes" in found.sentence


def test_mending_keeps_each_picture_in_the_last_split_that_has_it(
    photos: Path, examine: Callable[[], Findings]
) -> None:
    shutil.copy(photos / "test" / "cat" / "0.png", photos / "train" / "cat" / "in-test.png")
    shutil.copy(photos / "test" / "cat" / "0.png", photos / "validation" / "cat" / "in-test.png")
    compressed(photos / "validation" / "dog" / "0.png", photos / "train" / "dog" / "in-validation.jpg")
    shutil.copy(photos / "train" / "dog" / "1.png", photos / "train" / "dog" / "reported-only.png")
    (photos / "test" / "dog" / "text.jpg").write_text("no photo")
    before = splits(photos)

    after, dropped = checks.mend(before, examine())

    gone = {
        "train/cat/in-test.png",
        "validation/cat/in-test.png",
        "train/dog/in-validation.jpg",
        "test/dog/text.jpg",
    }
    assert {f"{photo.split}/{photo.label}/{photo.name}" for photo in dropped} == gone
    assert {split: set(before[split]) - set(after[split]) for split in before} == {
        split: {photo for photo in before[split] if f"{split}/{CLASSES[photo.label]}/{photo.name}" in gone}
        for split in before
    }


def test_mending_leaves_every_class_a_photo_to_train_on(photos: Path, examine: Callable[[], Findings]) -> None:
    """The only training photos of cats are also in other splits, one of them with the other label."""
    shutil.rmtree(photos / "train" / "cat")
    (photos / "train" / "cat").mkdir()
    for split, label in (("validation", "cat"), ("test", "cat"), ("test", "dog")):
        shutil.copy(photos / split / label / "0.png", photos / "train" / "cat" / f"{split}-{label}.png")

    after, dropped = checks.mend(splits(photos), examine())

    (cat,) = [photo for photo in after["train"] if photo.label == 0]
    kept_split, kept_label = cat.name.removesuffix(".png").split("-")
    assert f"{kept_split}/{kept_label}/0.png" in {f"{photo.split}/{photo.label}/{photo.name}" for photo in dropped}
    assert len(dropped) == 3
    contents = [{photo.sha256 for photo in part} for part in after.values()]
    assert sum(map(len, contents)) == len(set.union(*contents))


def test_a_set_that_was_mended_needs_no_mending(photos: Path, cache: Path, examine: Callable[[], Findings]) -> None:
    halved(photos / "test" / "cat" / "0.png", photos / "train" / "cat" / "in-test.png")
    mended, _ = checks.mend(splits(photos), examine())

    assert checks.examine(CLASSES, mended, Network(NETWORK, ARRAYS), cache).findings == ()


def test_what_was_seen_once_is_not_decoded_again(
    examine: Callable[[], Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = examine()
    monkeypatch.setattr(features, "decode", None)  # any further use fails

    assert examine() == first


def test_the_text_cuts_long_lists_and_the_json_does_not(photos: Path, examine: Callable[[], Findings]) -> None:
    for number in range(51):
        (photos / "train" / "cat" / f"{number:02}.jpg").write_text(f"no photo {number}")

    findings = examine()

    assert findings.table().splitlines()[:3] == ["131 photos examined, 1 finding", "", checks.LEGEND]
    assert "49.jpg" in findings.table()
    assert "50.jpg" not in findings.table()
    assert findings.table().endswith("and 1 more")
    assert Findings.model_validate_json(findings.model_dump_json()) == findings


def test_a_file_with_a_wild_name_can_be_shown(photos: Path, examine: Callable[[], Findings]) -> None:
    (photos / "train" / "cat" / "\x1b[31m.jpg").write_text("no photo")

    findings = examine()

    findings.table().encode()
    assert "\x1b" not in findings.table()
    assert finding(findings, "unreadable").photos[0].name == "\x1b[31m.jpg"


@pytest.mark.data
@pytest.mark.whole
def test_photos_of_cats_and_dogs_hold_one_pair_that_is_nearly_the_same(shared_data: Path, cache: Path) -> None:
    folder = shared_data / "cats_and_dogs"
    both = {
        "train": dataset.read_split(folder, CLASSES, "train"),
        "validation": dataset.read_split(folder, CLASSES, "validation"),
    }
    thin = Architecture(2, width=1 / 64)

    findings = checks.examine(CLASSES, both, Network(thin, random_arrays(thin)), cache)

    assert places(finding(findings, "near-duplicate")) == ["train/dog/dog.180.jpg", "train/dog/dog.74.jpg"]
    assert not {"duplicate", "leakage", "conflicting-labels"} & {found.kind for found in findings.findings}
