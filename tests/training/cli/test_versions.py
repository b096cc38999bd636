"""Commands on a tiny network that was trained by one: they measure, promote and continue it."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from catdog import images
from catdog.database import Database
from catdog.engines.openvino import OpenVINOEngine
from catdog.jobs.queue import Jobs
from catdog.network import weights
from catdog.transfer import archive
from tests.photos import draw_set
from tests.training.cli.shop import FEW_EPOCHS, RANDOM, SOONER, Shop
from tests.waiting import until


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


@pytest.mark.whole
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


def test_promote_publishes_the_file_of_a_version_and_puts_it_into_service(trained: Shop, tmp_path: Path) -> None:
    archive.write(trained.store.open(1), tmp_path / "carried.zip")

    said = trained.run("promote", tmp_path / "carried.zip").stdout

    number = trained.store.versions()[-1]
    assert said == f"version {number} is in service\n"
    assert trained.store.champion() == number > 1
    assert trained.store.open(number).manifest.weights == trained.store.open(1).manifest.weights


def test_promote_says_what_a_file_isn_t_and_changes_nothing(trained: Shop, tmp_path: Path) -> None:
    (tmp_path / "photo.zip").write_bytes(b"no ZIP")
    before = trained.store.champions(), trained.store.versions()

    broken = trained.run("promote", tmp_path / "photo.zip", fails=True).stderr
    missing = trained.run("promote", tmp_path / "missing.zip", fails=True).stderr

    assert "the archive is refused: it is not a ZIP file" in broken
    assert "missing.zip' is neither the number of a version nor a file" in missing
    assert (trained.store.champions(), trained.store.versions()) == before


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


def test_summary_shows_the_layers_and_counts(trained: Shop) -> None:
    shown = trained.run("summary").stdout

    assert "block5_conv3" in shown
    assert "(n, 14, 14, 16)" in shown
    assert f"{trained.store.open(1).manifest.architecture.parameters:,} parameters" in shown


@pytest.mark.whole
def test_fine_tuning_changes_the_last_block_and_no_other(trained: Shop, split_photos: Path) -> None:
    options = ("--strategy", "finetune", "--unfreeze", "1", "--promote", "never", SOONER)
    trained.run("train", "--data", split_photos, *FEW_EPOCHS, *options)

    before, after = (trained.store.open(number).load() for number in (1, trained.store.versions()[-1]))
    before = weights.halved(before)  # the result of fine-tuning fits float16
    changed = {name.split("_")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert changed <= {"block5", "predictions/kernel", "predictions/bias"}
    assert "block5" in changed


def test_another_networks_file_is_a_start(trained: Shop, shop: Shop, split_photos: Path) -> None:
    file = trained.store.open(1).weights_path

    shop.run("train", "--data", split_photos, "--backbone", file, "--width", "0.03125", SOONER)

    theirs, ours = trained.store.open(1).load(), shop.store.open(1).load()
    assert np.array_equal(ours["block3_conv1/kernel"], theirs["block3_conv1/kernel"])


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
