"""The out-of-distribution threshold is fitted in a training, and again for the shipped version."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from catdog.engines.engine import Precision
from catdog.errors import DatasetError
from catdog.versions.manifest import Manifest
from catdog.versions.measurements import Unknown
from catdog.versions.ood import FILE
from catdog.versions.store import Store, Version
from tests.observers import Recorder
from tests.photos import draw_set
from tests.training.cli.shop import RANDOM, Shop
from training.cli.familiarize import familiarize
from training.data import dataset
from training.data.features import FeatureExtractor
from training.evaluation import ood
from training.fitting import quantization
from training.fitting.config import Config
from training.publishing.pipeline import Request, train

TINY = Config(backbone="random", width=1 / 32)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, split_photos: Path) -> Path:
    folder = tmp_path_factory.mktemp("learned")
    train(Request(TINY, split_photos, "the command"), Store(folder / "models"), folder / "data", Recorder())
    return folder


@pytest.fixture
def folder(learned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(learned, tmp_path / "place"))


def without(folder: Path) -> Manifest:
    """The manifest as it was before there was "unknown", now in the folder as well."""
    path = folder / "models" / "1" / "manifest.json"
    (path.parent / FILE).unlink()
    fields = json.loads(path.read_text())
    del fields["unknown"], fields["histograms"]
    path.write_text(json.dumps(fields))
    return Manifest.from_json(path.read_text())


def again(folder: Path, data: Path, neither: Path | None = None) -> Version:
    """A version like the first, whose threshold is set again."""
    extractor = FeatureExtractor(folder / "data" / "features", Recorder().skipped)
    return familiarize(Store(folder / "models"), data, neither, "a command", extractor)


def test_what_is_unknown_is_set_in_the_precision_that_serves(folder: Path, split_photos: Path) -> None:
    version = Store(folder / "models").open(1)
    splits = dataset.read(split_photos).splits

    def fitted(precision: Precision) -> Unknown:
        network, cache = version.network(precision), folder / "data" / "features"
        trained, new = (
            FeatureExtractor(cache, Recorder().skipped).outputs(photos, network, precision)
            for photos in (quantization.draw(splits["train"], 0), splits["validation"])
        )
        also = np.ones(len(trained.photos), bool)
        found = ood.fit(trained.output.features, dataset.labels(trained.photos), new.output.features, also)
        assert found is not None
        return found.detector.known

    assert version.manifest.quantization is not None
    assert version.manifest.quantization.serves
    assert version.manifest.unknown == fitted("int8") != fitted("f32")


def test_the_training_photos_that_others_are_compared_with_are_kept_beside_the_weights(folder: Path) -> None:
    version = Store(folder / "models").open(1)
    detector = version.detector()

    assert detector is not None
    assert detector.bank is not None
    assert detector.bank.features.shape == (32, 16)
    assert np.linalg.norm(detector.bank.features, axis=1) == pytest.approx(np.ones(32), abs=1e-3)


def test_the_histograms_are_of_the_validation_photos(folder: Path) -> None:
    found = Store(folder / "models").open(1).manifest.histograms

    assert set(found) == {"probability", "familiarity"}
    assert {sum(histogram.photos) for histogram in found.values()} == {12}


def test_an_older_manifest_gets_what_the_training_would_have_said(folder: Path, split_photos: Path) -> None:
    store = Store(folder / "models")
    trained = store.open(1).manifest
    older = without(folder)
    assert (older.unknown, older.histograms) == (None, {})

    made = again(folder, split_photos)

    assert (made.manifest.unknown, made.manifest.histograms) == (trained.unknown, trained.histograms)
    assert made.manifest.lineage.parent == 1
    assert store.open(1).manifest == older, "a version never changes"
    made.verify()


def test_what_is_damaged_is_set_once_more(folder: Path, split_photos: Path) -> None:
    file = Store(folder / "models").open(1).path / FILE
    kept = file.read_bytes()
    for damage in (lambda: file.write_bytes(b"no HDF5"), file.unlink):
        damage()

        made = again(folder, split_photos)

        made.verify()
        assert (made.path / FILE).read_bytes() == kept


def test_files_that_stay_the_same_take_no_room(folder: Path, split_photos: Path) -> None:
    made = again(folder, split_photos)

    first = Store(folder / "models").open(1)
    assert {path.name for path in made.path.rglob("*")} == {path.name for path in first.path.rglob("*")}
    assert made.weights_path.samefile(first.weights_path)
    assert not (made.path / FILE).samefile(first.path / FILE)


def test_photos_of_neither_class_are_measured(folder: Path, split_photos: Path, tmp_path: Path) -> None:
    neither = draw_set(tmp_path / "neither", 5, ("fish",))

    known = again(folder, split_photos, neither).manifest.unknown
    assert known is not None
    assert known.neither is not None
    assert (known.neither.photos, known.neither.data) == (5, "the test photos")


def test_photos_of_other_classes_are_refused(folder: Path, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 20, ("cat", "fish"))

    with pytest.raises(DatasetError, match="has the classes cat, fish"):
        again(folder, photos)


@pytest.mark.whole
def test_photos_of_neither_class_are_measured_by_every_command_that_is_given_some(
    tmp_path: Path, split_photos: Path
) -> None:
    shop, neither = Shop(tmp_path), draw_set(tmp_path / "neither", 5, ("fish",))
    common = ("--data", split_photos, "--neither", neither)
    shop.run("train", *common, *RANDOM)
    known = shop.store.open(1).manifest.unknown
    assert known is not None
    assert known.neither is not None

    refreshed = shop.run("familiarize", *common).stdout
    readable = shop.run("evaluate", *common).stdout
    machine = json.loads(shop.run("evaluate", *common, "--json").stdout)

    assert shop.store.open(2).manifest.unknown == known
    told = f"of 5 photos of none of the classes {known.neither.told:.1%} are called unknown"
    assert told in refreshed
    assert told in readable
    assert machine.pop("neither")["auroc"] == known.neither.auroc
    assert machine == json.loads(shop.run("evaluate", "--data", split_photos, "--json").stdout)


def test_a_version_that_calls_nothing_unknown_cannot_be_measured_by_that(folder: Path, split_photos: Path) -> None:
    without(folder)

    said = Shop(folder).run("evaluate", "--data", split_photos, "--neither", split_photos, fails=True)

    assert said.stderr == (
        "catdog: version 1 has no out-of-distribution detector; to publish it with one:"
        " python -m training quantize --data DIR\n"
    )
