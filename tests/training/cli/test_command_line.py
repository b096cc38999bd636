"""The command line, `python -m training COMMAND`, on tiny networks."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from catdog import images
from catdog.database import Database
from catdog.engines.openvino import OpenVINOEngine
from catdog.jobs.queue import Jobs
from catdog.network import weights
from catdog.versions.store import Store
from tests.photos import draw_set
from tests.waiting import until

RANDOM = ("--backbone", "random", "--width", "0.03125")
FEW_EPOCHS = ("--epochs", "2", "--batch-size", "8")
SOONER = "--no-quantize"  # for tests that don't concern int8


def hear_ctrl_c() -> None:
    """Restore the handling of SIGINT, as in a terminal: a script's background job would inherit that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Said(NamedTuple):
    """The output of a command."""

    stdout: str
    stderr: str


class Shop:
    """A folder with its own model store and data, and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "models")

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "training", *map(str, arguments)],
            env={**os.environ, "CATDOG_MODELS_DIR": str(self.store.root), "CATDOG_DATA_DIR": str(self.folder / "data")}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_ctrl_c,
        )

    def run(self, *arguments: str | Path, fails: bool = False, **environment: str) -> Said:
        with self.start(*arguments, **environment) as command:
            said = Said(*command.communicate(timeout=300))
        assert bool(command.returncode) == fails, said.stderr
        assert "Traceback" not in said.stderr
        return said


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, split_photos: Path) -> Shop:
    """A shop with one version, a head on a random backbone."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.run("train", "--data", split_photos, *RANDOM)
    return shop


def test_a_head_on_a_random_backbone_learns_colours_and_goes_into_service(trained: Shop) -> None:
    version = trained.store.open(trained.store.champion())

    assert version.manifest.classes == ("cat", "dog")
    assert version.manifest.metrics["test"].accuracy == 1.0
    assert version.manifest.lineage.strategy == "head"
    assert version.manifest.lineage.dataset.photos["train"] == {"cat": 16, "dog": 16}
    assert (version.path / "report" / "confusion-matrix.png").is_file()


def test_training_measures_the_probabilities_that_the_engine_serves(trained: Shop, split_photos: Path) -> None:
    version = trained.store.open(1)
    engine = OpenVINOEngine(version.network())
    losses = []
    for label, name in enumerate(version.manifest.classes):
        for photo in (split_photos / "test" / name).iterdir():
            logits, _ = engine.infer(images.decode(photo.read_bytes())[None])
            losses.append(-np.log(version.manifest.calibration.probabilities(logits)[0, label]))

    assert version.manifest.metrics["test"].log_loss == pytest.approx(np.mean(losses), abs=1e-6)


def test_a_second_training_computes_no_feature_again(trained: Shop, split_photos: Path) -> None:
    first = trained.run("train", "--data", split_photos, "--promote", "never")
    again = trained.run("train", "--data", split_photos, "--promote", "never", "--backbone", "champion")

    assert "the backbone is the champion's, because the classes are its own (version 1: cat, dog)" in first.stderr
    assert "the backbone" not in again.stderr
    assert "version 2 is published" in first.stdout
    assert "version 3 is published" in again.stdout
    weights = [trained.store.open(number).manifest.weights for number in (2, 3)]
    assert weights[0] == weights[1]
    assert trained.store.champion() == 1
    assert trained.store.open(3).manifest.lineage.parent == 1


def test_the_manifest_holds_every_choice_of_the_training(trained: Shop) -> None:
    lineage = trained.store.open(1).manifest.lineage

    assert lineage.config["width"] == 1 / 32
    assert lineage.config["backbone"] == lineage.backbone == "random"
    assert "keras" not in lineage.libraries, "a head alone is fitted without it"


def test_promote_and_rollback_move_the_champion(trained: Shop, split_photos: Path) -> None:
    number = trained.run("train", "--data", split_photos, "--promote", "never").stdout.split("version ")[1].split()[0]

    assert f"version {number} is in service" in trained.run("promote", number).stdout
    assert trained.store.champion() == int(number)
    assert "version 1 is in service again" in trained.run("rollback").stdout
    assert "* " in trained.run("versions").stdout
    assert "there is no version 99" in trained.run("promote", "99", fails=True).stderr


def test_with_promote_auto_the_rule_decides_and_says_why(trained: Shop, split_photos: Path) -> None:
    said = trained.run("train", "--data", split_photos, "--promote", "auto").stdout

    number = trained.store.versions()[-1]
    assert "promoted: accuracy 100.0% against 100.0% on 60 photos" in said
    assert f"version {number} is in service" in said
    assert trained.store.champion() == number
    trained.run("rollback")


def test_evaluate_says_how_good_the_champion_is(trained: Shop, split_photos: Path) -> None:
    readable = trained.run("evaluate", "--data", split_photos).stdout
    machine = json.loads(trained.run("evaluate", "--data", split_photos, "--split", "train", "--json").stdout)

    assert "accuracy" in readable
    assert "100.00%" in readable
    assert machine["photos"] == 32
    assert set(machine["recall"]) == {"cat", "dog"}


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


def test_summary_shows_the_layers_and_counts(trained: Shop) -> None:
    shown = trained.run("summary").stdout

    assert "block5_conv3" in shown
    assert "(n, 14, 14, 16)" in shown
    assert f"{trained.store.open(1).manifest.architecture.parameters:,} parameters" in shown


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


def test_fine_tuning_changes_the_last_block_and_no_other(trained: Shop, split_photos: Path) -> None:
    trained.run(
        "train", "--data", split_photos, *FEW_EPOCHS, "--strategy", "finetune", "--unfreeze", "1", "--promote", "never"
    )

    before, after = (trained.store.open(number).load() for number in (1, trained.store.versions()[-1]))
    before = weights.halved(before)  # the result of fine-tuning fits float16
    changed = {name.split("_")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert changed <= {"block5", "predictions/kernel", "predictions/bias"}
    assert "block5" in changed


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
    arguments = (*training, "--strategy", "full", "--epochs", "42", "--batch-size", "8")
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
    assert [line.split(",")[0] for line in history] == ["epoch", *map(str, range(1, 43))]


def test_another_networks_file_is_a_start(trained: Shop, shop: Shop, split_photos: Path) -> None:
    file = trained.store.open(1).weights_path

    shop.run("train", "--data", split_photos, "--backbone", file, "--width", "0.03125", SOONER)

    theirs, ours = trained.store.open(1).load(), shop.store.open(1).load()
    assert np.array_equal(ours["block3_conv1/kernel"], theirs["block3_conv1/kernel"])


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


def test_evaluate_says_which_classes_there_are_and_takes_folders_of_other_names(trained: Shop, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 3)
    (photos / "cat").rename(photos / "cats")
    (photos / "dog").rename(photos / "Dog")

    said = trained.run("evaluate", "--data", photos, fails=True).stderr
    assert "has folders of Dog, cats, but the model has the classes cat, dog" in said
    assert "map the folders to classes: --map cats=cat" in said

    assert "100.00%" in trained.run("evaluate", "--data", photos, "--map", "cats=cat").stdout
    assert (
        "birds=cat maps nothing" in trained.run("evaluate", "--data", photos, "--map", "birds=cat", fails=True).stderr
    )


@pytest.mark.whole
def test_a_doctor_says_of_folders_what_a_training_would(trained: Shop, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 3)
    (photos / "bird").mkdir()
    (photos / "cat" / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "none").mkdir()

    examined = trained.run("check-data", "--data", photos, fails=True).stdout
    assert trained.run("doctor", "--data", photos).stdout == examined  # the old name, which has no exit status for it
    refused = trained.run("train", "--data", photos, fails=True).stderr

    assert "0 of bird in train" in examined
    assert "  bird: it contains no photo; a training would fail" in examined
    assert "  cat/gone.jpg: it is a link that leads nowhere" in examined
    assert "gone.jpg: it is a link that leads nowhere" in refused
    assert "bird contains no photo; add some, or remove the folder" in refused
    for command in ("doctor", "train"):
        assert (
            "seen: no picture; wanted: <class>/photo.jpg"
            in trained.run(command, "--data", tmp_path / "none", fails=True).stderr
        )


@pytest.mark.whole
def test_photos_are_taken_in_examined_and_trained_on_by_a_worker(shop: Shop, split_photos: Path, trained: Shop) -> None:
    shutil.copytree(trained.store.root, shop.store.root)
    said = shop.run("import", split_photos, "--dataset", "pets").stdout
    assert said == "104 pictures added to pets; 0 were already in it\n"

    examined = json.loads(shop.run("doctor", "--dataset", "pets", "--json").stdout)
    assert examined["photos"] == 104
    assert "104 photos examined" in shop.run("doctor", "--data", split_photos).stdout

    database = Database.of(shop.folder / "data")
    jobs = Jobs(database)
    job = jobs.submit({"dataset": "pets", "strategy": "head", "promote": "never"}).id
    with shop.start("worker", "--threads", "1") as worker:
        until(lambda: jobs.get(job).status.is_final)
        worker.send_signal(signal.SIGTERM)
        _, log = worker.communicate(timeout=60)
    database.close()

    assert worker.returncode == 0
    assert f"job {job}: succeeded" in log
    assert shop.store.open(shop.store.versions()[-1]).manifest.lineage.job == job


def test_photos_that_are_not_there_are_one_line(shop: Shop) -> None:
    assert shop.run("import", shop.folder / "nowhere", "--dataset", "pets", fails=True).stderr.count("\n") == 1
    assert "upload pictures into it first" in shop.run("doctor", "--dataset", "pets", fails=True).stderr
