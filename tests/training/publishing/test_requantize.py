"""Versions that were published without an int8 graph can get one later."""

import shutil
from pathlib import Path

import nncf
import pytest

from catdog.errors import DatasetError
from catdog.versions.store import Store
from tests.observers import Recorder
from tests.photos import draw_set
from training.fitting import quantization
from training.fitting.config import Config
from training.fitting.quantization import QuantizationFailed
from training.publishing.pipeline import Outcome, Promote, Request, train
from training.publishing.requantize import quantize

TINY = Config(backbone="random", width=1 / 32)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, split_photos: Path) -> Path:
    folder = tmp_path_factory.mktemp("learned")
    request = Request(TINY, split_photos, "the first command", quantize=False)
    train(request, Store(folder / "models"), folder / "data", Recorder())
    return folder


@pytest.fixture
def folder(learned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(learned, tmp_path / "place"))


def run(folder: Path, data: Path, asked: Promote = "auto", observer: Recorder | None = None) -> Outcome:
    store = Store(folder / "models")
    return quantize(store.open(1), data, "quantize", asked, store, folder / "data", observer or Recorder())


def test_the_same_weights_come_into_service_with_an_int8_graph(folder: Path, split_photos: Path) -> None:
    told = Recorder()
    outcome = run(folder, split_photos, observer=told)

    store = Store(folder / "models")
    first, second = store.open(1).manifest, outcome.version.manifest
    assert outcome.promoted, outcome.reason
    assert store.champion() == 2
    assert (second.weights, second.temperature, second.golden) == (first.weights, first.temperature, first.golden)
    assert second.quantization is not None
    assert second.quantization.serves
    assert second.quantization.calibration_photos == 32
    assert second.metrics["validation"].log_loss == second.quantization.int8.log_loss
    assert outcome.version.network().int8 is not None
    assert second.lineage.command == "quantize"
    assert second.lineage.parent == 1
    assert second.lineage.dataset == first.lineage.dataset
    assert told.phases == ["quantizing", "measuring", "publishing"]


def test_where_int8_does_not_serve_the_metrics_stay_those_of_before(
    folder: Path, split_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "LOG_LOSS", -1.0)

    outcome = run(folder, split_photos, "never")

    first, second = Store(folder / "models").open(1).manifest, outcome.version.manifest
    assert not outcome.promoted
    assert second.metrics == first.metrics
    assert second.quantization is not None
    assert not second.quantization.serves
    assert outcome.version.network().int8 is None


def test_nothing_is_published_where_nncf_fails(
    folder: Path, split_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise nncf.InternalError("no such operation")

    monkeypatch.setattr(nncf, "quantize", fail)

    with pytest.raises(QuantizationFailed, match="no such operation"):
        run(folder, split_photos)
    assert Store(folder / "models").versions() == (1,)


def test_photos_of_other_classes_are_refused(folder: Path, tmp_path: Path) -> None:
    photos = draw_set(tmp_path / "photos", 20, ("cat", "fish"))

    with pytest.raises(DatasetError, match="has the classes cat, fish, but version 1 has cat, dog"):
        run(folder, photos)
