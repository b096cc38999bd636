from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catdog.errors import WeightsError
from catdog.versions.store import SHIPPED, Store
from tests.photos import draw_set
from tests.places import ROOT
from training.data import dataset, trained_on
from training.data.dataset import Photo
from training.data.pixels import decode
from training.data.trained_on import TrainedOn, contents, of_pixels


def photos_of(folder: Path) -> tuple[Photo, ...]:
    return dataset.read_split(folder, ("cat", "dog"))


def pictures_of(photos: tuple[Photo, ...]) -> np.ndarray:
    _, pixels = decode(photos, lambda *_: None)
    return of_pixels(pixels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("photos"), 10)


@pytest.fixture(scope="module")
def learned(folder: Path) -> TrainedOn:
    photos = photos_of(folder)
    return TrainedOn.nothing().and_on(photos, pictures_of(photos), of_backbone=True)


def test_what_is_written_is_read_again(learned: TrainedOn, tmp_path: Path) -> None:
    trained_on.write(tmp_path / trained_on.FILE, learned)

    found = trained_on.read(tmp_path)

    assert all(
        np.array_equal(getattr(found, name), getattr(learned, name)) for name in ("contents", "pictures", "of_backbone")
    )
    assert found.is_complete


def test_a_photo_is_recorded_once_and_stays_one_of_the_backbone(learned: TrainedOn, folder: Path) -> None:
    photos = photos_of(folder)

    head_too = learned.and_on(photos, pictures_of(photos), of_backbone=False)
    twice = TrainedOn.nothing().and_on((*photos, *photos), pictures_of((*photos, *photos)), of_backbone=True)
    convolutions_later = TrainedOn.nothing().and_on(photos[:4], pictures_of(photos[:4]), of_backbone=False)
    convolutions_later = convolutions_later.and_on(photos, pictures_of(photos), of_backbone=True)

    for record in (head_too, twice, convolutions_later):
        assert sorted(record.contents) == sorted(contents(photos))
        assert sorted(record.pictures) == sorted(learned.pictures)
        assert record.of_backbone.all()


def test_a_version_without_a_record_knows_nothing_and_says_so(tmp_path: Path) -> None:
    found = trained_on.read(tmp_path)

    assert (len(found.contents), found.is_complete) == (0, False)
    assert not found.has(np.arange(3, dtype=np.uint64), np.arange(3, dtype=np.uint64)).any()


def test_a_record_that_is_cut_short_is_an_error_that_names_it(learned: TrainedOn, tmp_path: Path) -> None:
    trained_on.write(tmp_path / trained_on.FILE, learned)
    (tmp_path / trained_on.FILE).write_bytes((tmp_path / trained_on.FILE).read_bytes()[:600])

    with pytest.raises(WeightsError, match=r"trained-on\.h5"):
        trained_on.read(tmp_path)


def copies(folder: Path, into: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.png")):
        copy = into / path.parent.name / f"{path.stem}.jpg"
        copy.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.resize((160, 120), Image.Resampling.BICUBIC).save(copy, quality=85)
        yield copy


def test_a_photo_is_recognised_by_its_content_or_as_a_copy_of_another_size_and_quality(
    folder: Path, learned: TrainedOn, tmp_path: Path
) -> None:
    assert len(list(copies(folder, tmp_path))) == 20
    same, copied = photos_of(folder), photos_of(tmp_path)

    assert learned.has(contents(same), np.zeros(20, np.uint64)).all()
    assert learned.has(contents(copied), pictures_of(copied)).all()


def test_other_photos_are_not_recognised(learned: TrainedOn, tmp_path: Path) -> None:
    others = photos_of(draw_set(tmp_path, 50, first=5000))

    assert not learned.has(contents(others), pictures_of(others)).any()


def test_those_that_the_head_alone_learnt_from_are_told_from_those_of_the_convolutions(
    learned: TrainedOn, tmp_path: Path
) -> None:
    others = photos_of(draw_set(tmp_path, 3, first=5000))
    both = learned.and_on(others, pictures_of(others), of_backbone=False)

    assert both.has(contents(others), pictures_of(others)).all()
    assert not both.by_backbone().has(contents(others), pictures_of(others)).any()
    assert len(both.by_backbone().contents) == len(learned.contents)


def test_the_shipped_version_knows_the_photos_that_it_was_trained_on() -> None:
    version = Store(ROOT / "models").open(SHIPPED)
    record = trained_on.read(version.path)

    assert record.is_complete
    assert record.of_backbone.all()
    assert len(record.contents) == sum(version.manifest.lineage.dataset.photos["train"].values())


@pytest.mark.data
def test_photos_of_the_tutorials_are_recognised_as_those_of_the_shipped_version(shared_data: Path) -> None:
    """Their size and quality differ from those it was trained on; it wasn't trained on the validation photos."""
    record = trained_on.read(Store(ROOT / "models").open(SHIPPED).path)

    def known(split: str) -> int:
        photos = dataset.read_split(shared_data / "cats_and_dogs" / split, ("cat", "dog"))[::20]
        return int(record.has(contents(photos), pictures_of(photos)).sum())

    assert known("train") >= 0.9 * 100, "but for those that it was validated with"
    assert known("validation") <= 1
