"""Trainings on very few photos publish a version, and report what could not be measured."""

from hashlib import sha256
from pathlib import Path

import pytest

from catdog.errors import DatasetError
from catdog.splits import by_content
from catdog.versions.store import Store
from tests.observers import Recorder
from tests.photos import draw, draw_set
from training.data import dataset
from training.data.checks import caution
from training.fitting.config import Config, Stage
from training.publishing.pipeline import Outcome, Request, train

TINY = Config(backbone="random", width=1 / 32)


def run(folder: Path, photos: Path, config: Config = TINY, quantize: bool = False) -> Outcome:
    request = Request(config, photos, "test", quantize=quantize)
    return train(request, Store(folder / "models"), folder / "data", Recorder())


def said(outcome: Outcome) -> str:
    return caution(outcome.version.manifest.lineage.dataset.photos) or ""


def draw_off_train(folder: Path, kind: str, photos: int) -> None:
    """Draw photos of the kind whose content puts them into validation or test."""
    seed = 0
    while len(list(folder.glob("*"))) < photos:
        draw(folder / f"{seed}.png", kind, seed)
        if by_content(sha256((folder / f"{seed}.png").read_bytes()).hexdigest()) == "train":
            (folder / f"{seed}.png").unlink()
        seed += 1


@pytest.mark.parametrize("photos", [1, 2, 3, 5])
def test_a_head_is_trained_on_a_few_photos_of_each_class(tmp_path: Path, photos: int) -> None:
    draw_set(tmp_path / "photos", photos)

    outcome = run(tmp_path, tmp_path / "photos")

    counts = outcome.version.manifest.lineage.dataset.photos
    assert outcome.promoted
    assert all(counts["train"].values())
    assert sum(sum(split.values()) for split in counts.values()) == 2 * photos
    assert said(outcome).startswith("few photos: 2 of 2 classes have fewer than 20 training photos")
    assert (outcome.version.path / "report" / "evaluation.json").exists()


@pytest.mark.parametrize("photos", [1, 2, 3])
def test_a_class_whose_photos_content_puts_beside_train_is_trained_on(tmp_path: Path, photos: int) -> None:
    draw_set(tmp_path / "photos", 30, ("cat",))
    draw_off_train(tmp_path / "photos" / "dog", "dog", photos)

    outcome = run(tmp_path, tmp_path / "photos")

    assert outcome.version.manifest.lineage.dataset.photos["train"]["dog"] == 1
    assert "1 of 2 classes have fewer than 20 training photos (dog has 1)" in said(outcome)


def test_without_photos_to_validate_with_a_head_is_measured_by_cross_validation(tmp_path: Path) -> None:
    draw_set(tmp_path / "photos" / "train", 5)
    photos = dataset.read(tmp_path / "photos", share=0.0001)
    request = Request(TINY, photos, "test")

    outcome = train(request, Store(tmp_path / "models"), tmp_path / "data", Recorder())

    manifest = outcome.version.manifest
    assert list(manifest.metrics) == ["train"]
    assert manifest.metrics["train"].photos == 10
    assert manifest.metrics["train"].data == "the training photos, by cross-validation"
    assert manifest.quantization is not None
    assert manifest.quantization.photos == 10
    assert "no validation photos, so accuracy was not measured on held-out photos, but by" in said(outcome)
    assert "no test photos" in said(outcome)


def test_of_one_photo_a_class_nothing_is_said_to_be_known(tmp_path: Path) -> None:
    photos = dataset.read(draw_set(tmp_path / "photos", 1), share=0.0001)

    outcome = train(Request(TINY, photos, "test"), Store(tmp_path / "models"), tmp_path / "data", Recorder())

    manifest = outcome.version.manifest
    assert manifest.metrics["train"].data == "the photos that it was trained on"
    assert manifest.temperature == pytest.approx(1.0)
    assert "nor by cross-validation, because a class has only one photo" in said(outcome)


def test_a_finetuning_on_a_few_photos_validates_with_some_of_them(tmp_path: Path) -> None:
    photos = dataset.read(draw_set(tmp_path / "photos", 3), share=0.0001)
    config = Config(
        "finetune",
        backbone="random",
        width=1 / 32,
        stages=(Stage(224, 1, 4),),
        policy="float32",
        validation_share=0.0001,
    )
    request = Request(config, photos, "test", quantize=False)

    manifest = train(request, Store(tmp_path / "models"), tmp_path / "data", Recorder()).version.manifest

    assert manifest.metrics["validation"].photos == 1
    measured, which = dataset.read_for(tmp_path / "photos", manifest, "validation")
    assert len(measured) == 1
    assert which.startswith("the validation photos of")


def test_a_version_trained_on_every_photo_is_not_measured_on_them(tmp_path: Path) -> None:
    config = Config(backbone="random", width=1 / 32, validation_share=0.0001)
    manifest = run(tmp_path, draw_set(tmp_path / "photos", 2), config).version.manifest

    with pytest.raises(DatasetError, match="has no test photos; pass other photos"):
        dataset.read_for(tmp_path / "photos", manifest)


def test_enough_photos_need_no_caution() -> None:
    assert caution({split: {"cat": 20, "dog": 200} for split in ("train", "validation", "test")}) is None
    assert "(cat has 3)" in (caution({"train": {"cat": 3, "dog": 30}, "validation": {"cat": 1, "dog": 0}}) or "")
