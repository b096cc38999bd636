"""int8 in a training: when a graph is made, when one is reused, and which precision serves."""

import shutil
from dataclasses import replace
from pathlib import Path

import nncf
import numpy as np
import pytest

from catdog.engines.openvino import OpenVINOEngine
from catdog.versions import golden
from catdog.versions.manifest import Manifest
from catdog.versions.store import Store
from tests.observers import Recorder
from tests.training.publishing.test_pipeline import TINY, run
from training.data import dataset
from training.data.features import FeatureExtractor
from training.fitting import quantization
from training.fitting.config import Config, Stage
from training.publishing.pipeline import Request

ON_IT = Config(backbone="champion")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, split_photos: Path) -> Path:
    """A folder with a store and data in it; version 1 has an int8 graph that serves, version 2 has none."""
    folder = tmp_path_factory.mktemp("first")
    run(folder, Request(TINY, split_photos, "test"))
    run(folder, Request(TINY, split_photos, "test", promote="never", quantize=False))
    return folder


@pytest.fixture
def folder(learned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(learned, tmp_path / "place"))


def without_nncf(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise nncf.InternalError("no such operation")

    monkeypatch.setattr(nncf, "quantize", fail)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_version_is_measured_and_answers_in_the_int8_that_serves(folder: Path, split_photos: Path) -> None:
    version = Store(folder / "models").open(1)
    manifest, network = version.manifest, version.network()
    assert manifest.quantization is not None
    assert network.int8 is not None
    assert manifest.quantization.serves, manifest.quantization.reason
    photos = dataset.read_split(split_photos, manifest.classes, "validation")
    _, output, _ = FeatureExtractor(folder / "empty", Recorder().skipped).outputs(photos, network, "int8")
    said = manifest.calibration.probabilities(output.logits)
    loss = -np.log(said[np.arange(len(photos)), dataset.labels(photos)]).mean()

    assert manifest.metrics["validation"].log_loss == pytest.approx(loss, abs=1e-9)
    assert manifest.quantization.int8.log_loss == manifest.metrics["validation"].log_loss
    assert manifest.quantization.f32.log_loss != manifest.quantization.int8.log_loss
    assert (manifest.quantization.photos, manifest.quantization.calibration_photos) == (12, 32)
    answers = golden.answers(OpenVINOEngine(network, "int8"), manifest.temperature)
    golden.check(answers, manifest.quantization.golden, "int8")


def test_a_version_without_a_graph_says_that_none_was_asked_for(folder: Path) -> None:
    version = Store(folder / "models").open(2)

    assert version.manifest.quantization is None
    assert version.manifest.unquantized == "none was requested"
    assert version.network().int8 is None
    assert not (version.path / "int8.xml").exists()


def test_a_head_takes_the_graph_of_its_backbone_over_and_no_feature_is_computed_again(
    folder: Path, split_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_nncf(monkeypatch)
    before, told = files(folder / "data"), Recorder()

    version = run(folder, Request(ON_IT, split_photos, "test"), told).version

    first = Store(folder / "models").open(1).manifest.quantization
    assert first is not None
    assert version.manifest.quantization is not None
    assert version.manifest.quantization.graph == first.graph
    assert version.manifest.quantization.calibration_photos == 32
    assert version.network().int8 is not None
    assert files(folder / "data") == before
    assert "quantizing" not in told.phases


def test_heads_on_one_backbone_share_its_files_and_each_can_be_deleted(folder: Path, split_photos: Path) -> None:
    """Except the first version, whose backbone and head are in one file."""
    store = Store(folder / "models")
    heads = [run(folder, Request(replace(ON_IT, seed=seed), split_photos, "test")).version for seed in range(3)]

    for name in ("model_00000.weights.h5", "int8.xml", "int8.bin"):
        assert all((head.path / name).samefile(heads[0].path / name) for head in heads), name
    assert (heads[0].path / "int8.bin").samefile(store.root / "1" / "int8.bin")
    store.promote(heads[2].number)
    for head in heads[:2]:
        store.delete(head.number)
    assert store.open(heads[2].number).network("f32").arrays.keys() == heads[2].manifest.architecture.shapes.keys()
    assert store.open(heads[2].number).network("int8").int8 is not None


def test_a_copy_of_a_versions_folder_is_whole(folder: Path, split_photos: Path, tmp_path: Path) -> None:
    version = run(folder, Request(ON_IT, split_photos, "test")).version
    place = tmp_path / "elsewhere" / str(version.number)

    shutil.copytree(version.path, place)

    copied = Store(place.parent).open(version.number).network("int8")
    assert np.array_equal(copied.arrays["block1_conv1/kernel"], version.load()["block1_conv1/kernel"])


def test_a_backbone_without_a_graph_gets_one_once(
    folder: Path, split_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder / "data")
    on_the_second = replace(ON_IT, backbone="2")
    first = run(folder, Request(on_the_second, split_photos, "test")).version.manifest
    without_nncf(monkeypatch)

    again = run(folder, Request(on_the_second, split_photos, "test")).version.manifest

    assert first.quantization is not None
    assert again.quantization == first.quantization


def test_a_graph_that_does_not_serve_leaves_everything_as_if_there_were_none(
    folder: Path, split_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "LOG_LOSS", -1.0)
    told = Recorder()

    version = run(folder, Request(ON_IT, split_photos, "test"), told).version

    second = Store(folder / "models").open(2)
    alone, found = second.manifest, version.manifest
    assert (found.temperature, found.metrics) == (alone.temperature, alone.metrics)
    expected = second.load()
    assert all(np.array_equal(array, expected[name]) for name, array in version.load().items())
    assert found.quantization is not None
    assert not found.quantization.serves
    assert "int8 does not serve, because it loses more than -1 of log-loss" in found.quantization.reason
    assert version.network().int8 is None
    assert version.network("int8").int8 is not None


def test_numbers_that_would_let_int8_serve_after_all_are_explained(
    folder: Path, split_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head fitted for int8 lost too much; the one that serves instead would not."""
    verdicts = iter([False, True])
    rule = quantization.rule
    monkeypatch.setattr(quantization, "rule", lambda *measured: (next(verdicts), rule(*measured)[1]))

    found = run(folder, Request(ON_IT, split_photos, "test")).version.manifest.quantization

    assert found is not None
    assert not found.serves
    assert found.reason.endswith(", with head and temperature fitted for int8")


def test_a_training_is_not_lost_where_nncf_fails(
    split_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_nncf(monkeypatch)

    version = run(tmp_path, Request(TINY, split_photos, "test")).version

    assert version.manifest.quantization is None
    assert version.manifest.unquantized == "NNCF can't make an int8 graph: no such operation"
    assert version.network().int8 is None
    assert version.manifest.metrics["test"].accuracy == 1


def test_a_fine_tuned_network_has_a_graph_of_its_own(folder: Path, split_photos: Path) -> None:
    config = replace(ON_IT, strategy="finetune", stages=(Stage(224, 1, 8),), policy="float32")

    found: Manifest = run(folder, Request(config, split_photos, "test")).version.manifest

    first = Store(folder / "models").open(1).manifest
    assert found.quantization is not None
    assert first.quantization is not None
    assert found.weights != first.weights
    assert found.quantization.graph != first.quantization.graph
    assert len(list((folder / "data" / "graphs").glob("[!.]*"))) == 1, "it is kept with the version alone"
