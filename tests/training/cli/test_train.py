"""Trainings from the command line on tiny networks, each in an empty folder."""

import json
import signal
from pathlib import Path

import pytest

from tests.photos import draw_set
from tests.training.cli.shop import FEW_EPOCHS, RANDOM, SOONER, Shop
from tests.waiting import until


@pytest.mark.whole
def test_evaluate_on_the_folder_that_was_trained_on_takes_what_was_kept_from_it(shop: Shop, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 60)
    shop.run("train", "--data", photos, *RANDOM, SOONER)

    own = json.loads(shop.run("evaluate", "--data", photos, "--json").stdout)
    kept = sum(shop.store.open(1).manifest.lineage.dataset.photos["test"].values())
    draw_set(photos, 61)
    other = json.loads(shop.run("evaluate", "--data", photos, "--json").stdout)

    assert own["photos"] == kept < 60
    assert "split by content" in own["data"]
    assert other["photos"] == 122


@pytest.mark.whole
def test_a_version_without_an_int8_graph_is_published_once_more_with_one(shop: Shop, split_photos: Path) -> None:
    without = shop.run("train", "--data", split_photos, *RANDOM, SOONER)
    said = shop.run("quantize", "--data", split_photos)

    first, second = (shop.store.open(number).manifest for number in (1, 2))
    assert "without an int8 graph: none was requested" in without.stdout
    assert said.stderr == ""
    assert second.weights == first.weights
    assert second.quantization is not None
    assert second.quantization.reason in said.stdout
    assert "version 2 is in service" in said.stdout
    assert second.lineage.command.startswith("python -m training quantize --data")


def test_a_broken_photo_is_named_and_skipped(shop: Shop, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos" / "train", 8).parent
    draw_set(photos / "validation", 4, first=500)
    (photos / "train" / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")

    done = shop.run("train", "--data", photos, *RANDOM, SOONER)

    assert "broken.jpg" in done.stderr
    assert shop.store.open(1).manifest.lineage.dataset.photos["train"] == {"cat": 8, "dog": 8}


@pytest.mark.whole
def test_three_classes_are_trained_with_the_classic_head_and_fine_tuned(shop: Shop, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos" / "train", 8, ("cat", "dog", "fish")).parent
    draw_set(photos / "validation", 4, ("cat", "dog", "fish"), first=500)

    shop.run("train", "--data", photos, *RANDOM, *FEW_EPOCHS, "--strategy", "finetune", "--head", "classic")

    version = shop.store.open(1)
    assert version.manifest.classes == ("cat", "dog", "fish")
    assert version.manifest.head == "classic"
    assert version.manifest.quantization is not None
    assert (version.path / "report" / "history.csv").read_text().count("\n") == 3


@pytest.mark.whole
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_every_layer_is_trained_on_another_backend_as_well(shop: Shop, split_photos: Path, backend: str) -> None:
    shop.run("train", "--data", split_photos, *RANDOM, *FEW_EPOCHS, SOONER, "--strategy", "full", KERAS_BACKEND=backend)

    version = shop.store.open(1)
    assert version.manifest.lineage.strategy == "full"
    assert version.manifest.metrics["test"].photos == 60
    assert not list((shop.folder / "data" / "runs").iterdir())


@pytest.mark.whole
def test_ctrl_c_ends_a_training_cleanly_and_resume_finishes_it(shop: Shop, split_photos: Path) -> None:
    training: tuple[str | Path, ...] = ("train", "--data", split_photos, *RANDOM, SOONER)
    arguments = (*training, "--strategy", "full", "--epochs", "15", "--batch-size", "8")
    with shop.start(*arguments) as command:
        until(lambda: command.poll() is not None or any(shop.folder.glob("data/runs/*/state.json")))
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=120)
    assert command.returncode == 130
    assert "--resume" in said
    assert "Traceback" not in said
    assert shop.store.versions() == ()

    shop.run(*arguments, "--resume")

    history = (shop.store.open(1).path / "report" / "history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in history] == ["epoch", *map(str, range(1, 16))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "nowhere is not a folder"),
        (["--strategy", "head", "--head", "classic", *RANDOM], "pooled head"),
        (["--backbone", "champion", "--width", "0.5"], "omit --width"),
        (["--backbone", "champion"], "no version is in service"),
        (["--backbone", "missing.h5"], "missing.h5"),
        ([], "ImageNet's weights can't be downloaded from https://"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(
    shop: Shop, split_photos: Path, arguments: list[str], message: str
) -> None:
    done = shop.run("train", "--data", split_photos, *arguments, fails=True)

    assert message in done.stderr.splitlines()[-1]
    assert shop.store.versions() == ()


def test_the_file_of_imagenets_weights_is_the_one_that_the_setting_names(shop: Shop, split_photos: Path) -> None:
    """No other file is used instead; without a champion a training starts from it."""
    said = shop.run(
        "train",
        "--data",
        split_photos,
        fails=True,
        CATDOG_IMAGENET_WEIGHTS=str(shop.folder / "nowhere.h5"),
    ).stderr

    assert "the backbone is ImageNet's VGG16, because no version is in service" in said
    assert "CATDOG_IMAGENET_WEIGHTS names nowhere.h5, but there is no such file" in said.splitlines()[-1]


def test_photos_that_are_not_there_are_one_line(shop: Shop) -> None:
    assert shop.run("import", shop.folder / "nowhere", "--dataset", "pets", fails=True).stderr.count("\n") == 1
    assert "upload pictures into it first" in shop.run("doctor", "--dataset", "pets", fails=True).stderr
