"""The promotion rule on real versions: a store whose first version is the shipped one, with test features."""

import shutil
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catdog.network.architecture import Architecture, Network
from catdog.versions.calibration import Calibration
from catdog.versions.manifest import Decision
from catdog.versions.measurements import Unknown
from catdog.versions.ood import Detector
from catdog.versions.store import SHIPPED, Store
from tests.observers import Recorder
from tests.photos import draw_set
from training.cli import commands
from training.data import dataset, trained_on
from training.data.dataset import Dataset
from training.data.features import FeatureExtractor
from training.evaluation import champion_comparison, reference_features
from training.evaluation.champion_comparison import Contender
from training.fitting import backbones
from training.fitting.config import Config
from training.publishing.pipeline import Request, train

Judge = Callable[[Contender, Dataset], Decision]
CONFIG = Config(backbone="random", width=1 / 32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, split_photos: Path) -> Path:
    """A folder with a store of one version, and the features of its photos."""
    folder = tmp_path_factory.mktemp("gate")
    request = Request(CONFIG, split_photos, "test", quantize=False)
    train(request, Store(folder / "models"), folder / "data", Recorder())
    return folder


@pytest.fixture
def store(folder: Path) -> Store:
    store = Store(folder / "models")
    for later in store.versions()[1:]:
        shutil.rmtree(store.open(later).path)
    (store.open(SHIPPED).path / reference_features.FILE).unlink(missing_ok=True)
    return store


@pytest.fixture
def judge(folder: Path, store: Store) -> Judge:
    def judge(candidate: Contender, photos: Dataset) -> Decision:
        return champion_comparison.judge(
            candidate, photos, store, FeatureExtractor(folder / "data" / "features", Recorder().skipped)
        )

    return judge


@pytest.fixture
def champion(store: Store) -> Contender:
    return Contender.of(store.open(SHIPPED))


@pytest.fixture
def photos(split_photos: Path) -> Dataset:
    return dataset.read(split_photos)


def turned(contender: Contender) -> Contender:
    """The same backbone with a head that predicts the opposite."""
    network = contender.network
    head = {name: -network.arrays[name] for name in ("predictions/kernel", "predictions/bias")}
    return replace(contender, network=replace(network, arrays={**network.arrays, **head}))


def remember(store: Store, folder: Path, root: Path) -> None:
    """Keep the features of 20 other photos, drawn at `root`, with the shipped version."""
    draw_set(root, 10, first=7000)
    commands.remember(Namespace(models=store.root, data_dir=folder / "data", data=root))


def test_both_are_measured_on_the_test_photos(judge: Judge, champion: Contender, photos: Dataset) -> None:
    equal, worse = judge(champion, photos), judge(turned(champion), photos)

    assert (equal.promote, equal.photos, equal.champion) == (True, 60, SHIPPED)
    assert (worse.promote, worse.photos) == (False, 60)
    accuracy = next(rule for rule in worse.rules if rule.name == "accuracy")
    assert (accuracy.candidate, accuracy.champion) == (0, 1)


def test_on_the_shipped_backbone_the_kept_test_photos_count_as_well(
    judge: Judge, store: Store, folder: Path, champion: Contender, photos: Dataset, tmp_path: Path
) -> None:
    remember(store, folder, tmp_path)

    assert judge(champion, photos).photos == 60 + 20
    assert not judge(turned(champion), photos).promote


def test_without_test_photos_of_ones_own_the_kept_ones_decide(
    judge: Judge, store: Store, folder: Path, champion: Contender, photos: Dataset, tmp_path: Path
) -> None:
    untested = Dataset(photos.classes, {name: photos.splits[name] for name in ("train", "validation")})
    nothing = judge(champion, untested)
    assert not nothing.promote
    assert (nothing.photos, nothing.photos_missing) == (0, 60)
    assert nothing.reason.startswith("not promoted: too few test photos (0) to tell")

    remember(store, folder, tmp_path)

    assert judge(champion, untested).photos == 20


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_kept_photos_that_are_in_the_data_set_are_left_out(
    judge: Judge, store: Store, folder: Path, champion: Contender, photos: Dataset, tmp_path: Path, split: str
) -> None:
    remember(store, folder, tmp_path)
    mine = dataset.read_split(tmp_path, photos.classes)[:5]
    mixed = photos.with_only({split: photos.splits[split] + mine})

    assert judge(champion, mixed).photos == len(mixed.splits["test"]) + 15


def test_on_another_backbone_the_kept_photos_do_not_count(
    judge: Judge, store: Store, folder: Path, champion: Contender, photos: Dataset, tmp_path: Path
) -> None:
    remember(store, folder, tmp_path)
    other = {**champion.network.arrays, **backbones.random(1 / 32, seed=1)}

    assert judge(replace(champion, network=replace(champion.network, arrays=other)), photos).photos == 60


def test_a_classic_head_is_judged_by_ones_own_photos_alone(
    judge: Judge, store: Store, folder: Path, champion: Contender, photos: Dataset, tmp_path: Path
) -> None:
    remember(store, folder, tmp_path)
    classic = Architecture(2, 1 / 32, "classic")
    head = {name: np.zeros(classic.shapes[name], np.float32) for name in classic.shapes if name[:5] != "block"}

    decision = judge(Contender(Network(classic, {**champion.network.arrays, **head}), Calibration(1.0)), photos)

    assert (decision.promote, decision.photos) == (False, 60)


def test_other_classes_cannot_be_compared(judge: Judge, champion: Contender, tmp_path: Path) -> None:
    fishes = dataset.read(draw_set(tmp_path / "photos", 60, ("cat", "fish")))

    decision = judge(champion, fishes)

    assert not decision.promote
    assert decision.reason == (
        "not promoted: its classes are cat, fish, but those of version 1 are cat, dog: the two can't be compared;"
        " decide yourself whether to promote it"
    )


def test_without_a_champion_there_is_nothing_to_lose(champion: Contender, photos: Dataset, tmp_path: Path) -> None:
    decision = champion_comparison.judge(
        champion, photos, Store(tmp_path / "models"), FeatureExtractor(tmp_path, Recorder().skipped)
    )

    assert decision.promote
    assert decision.champion is None


def test_test_photos_that_the_champion_was_trained_on_do_not_count(
    judge: Judge, champion: Contender, photos: Dataset
) -> None:
    """The champion's results on them would be too good."""
    mixed = photos.with_only({"test": photos.splits["test"][:10] + photos.splits["train"]})

    decision = judge(champion, mixed)

    assert (decision.promote, decision.photos, decision.photos_left_out) == (False, 10, 32)
    assert decision.reason.startswith("not promoted: too few test photos (10) to tell")
    assert "32 more are not counted, because this version or the one in service was trained on them" in decision.reason


def test_copies_of_photos_that_the_champion_was_trained_on_do_not_count_either(
    judge: Judge, champion: Contender, photos: Dataset, tmp_path: Path
) -> None:
    for photo in photos.splits["train"]:
        copy = tmp_path / photos.classes[photo.label] / Path(photo.name).with_suffix(".jpg")
        copy.parent.mkdir(exist_ok=True)
        with Image.open(BytesIO(photo.path.read_bytes())) as image:
            image.save(copy, quality=90)

    decision = judge(champion, photos.with_only({"test": dataset.read_split(tmp_path, photos.classes)}))

    assert (decision.photos, decision.photos_left_out) == (0, 32)


def test_kept_test_photos_that_the_champion_was_trained_on_do_not_count(
    judge: Judge, store: Store, folder: Path, champion: Contender, photos: Dataset, tmp_path: Path
) -> None:
    remember(store, folder, tmp_path)
    mine = dataset.read_split(tmp_path, photos.classes)[:5]
    learned = champion.trained_on.and_on(mine, np.zeros(5, np.uint64), of_backbone=False)

    assert judge(replace(champion, trained_on=learned), photos).photos == 60 + 15


def test_a_champion_without_a_record_of_its_training_photos_is_compared_and_doubted(
    judge: Judge, store: Store, champion: Contender, photos: Dataset
) -> None:
    record = store.open(SHIPPED).path / trained_on.FILE
    kept = record.read_bytes()
    record.unlink()

    decision = judge(champion, photos)

    record.write_bytes(kept)
    assert decision.promote
    assert "version 1 doesn't record which photos it was trained on" in decision.reason


def test_a_candidate_that_calls_more_photos_unknown_is_kept_out(
    judge: Judge, champion: Contender, photos: Dataset
) -> None:
    """It is the same network with the same predictions, but it calls the photos unknown."""
    assert champion.detector is not None
    shy = replace(champion.detector, thresholds=((0.5, 9.0), (1.0, 9.0)))

    decision = judge(replace(champion, detector=shy), photos)

    assert [rule.name for rule in decision.rules if not rule.passed] == ["unknown"]
    assert "100.0% of 60 photos called unknown against " in decision.reason


@pytest.mark.parametrize(("threshold", "unknown"), [(0.0, 0), (1e6, 1)])
def test_versions_of_different_measures_are_compared_by_what_they_call_unknown(
    judge: Judge, champion: Contender, photos: Dataset, threshold: float, unknown: float
) -> None:
    """One from an earlier version of catdog, by the length of features, and one by their similarity."""
    earlier = Detector.of(Unknown(usual_length=1.0, threshold=threshold, photos=100, kept=0.95))

    decision = judge(replace(champion, detector=earlier), photos)

    rule = next(rule for rule in decision.rules if rule.name == "unknown")
    assert (rule.passed, rule.candidate) == (not unknown, unknown)
    assert rule.champion < 0.1


def test_a_damaged_file_of_kept_features_keeps_the_candidate_out(
    judge: Judge, store: Store, champion: Contender, photos: Dataset
) -> None:
    (store.open(SHIPPED).path / reference_features.FILE).write_bytes(b"no HDF5")

    decision = judge(champion, photos)

    assert not decision.promote
    assert reference_features.FILE in decision.reason
