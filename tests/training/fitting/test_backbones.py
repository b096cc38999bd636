from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from catdog.errors import BrokenVersion, NoChampion, WeightsError
from catdog.network import weights
from catdog.network.architecture import Architecture
from catdog.versions.store import Store
from tests.app.service import publish
from tests.networks import random_arrays
from tests.observers import Recorder
from training.fitting import backbones, quantization
from training.fitting.config import Config
from training.publishing.pipeline import Request, train

SLIM = 1 / 32


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A store whose champion distinguishes cats and dogs."""
    publish(tmp_path)
    return tmp_path


def load(backbone: str, folder: Path, width: float = SLIM) -> backbones.Backbone:
    return backbones.load(Config(backbone=backbone, width=width), Store(folder / "models"), folder / "downloads")


def test_a_random_backbone_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    first, again = (load("random", tmp_path).arrays for _ in range(2))

    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["block1_conv1/kernel"], backbones.random(SLIM, seed=1)["block1_conv1/kernel"])


def test_a_random_backbone_has_every_convolution_and_no_head(tmp_path: Path) -> None:
    convolutions = {layer.name for layer in Architecture(2, SLIM).backbone_layers}

    assert {name.split("/")[0] for name in load("random", tmp_path).arrays} == convolutions


def test_a_file_gives_its_convolutions_whatever_its_head(tmp_path: Path) -> None:
    network = Architecture(7, SLIM)
    arrays = random_arrays(network)
    weights.write(tmp_path / "theirs.weights.h5", network, arrays)

    found = load(str(tmp_path / "theirs.weights.h5"), tmp_path)

    assert found.parent is None
    assert np.array_equal(found.arrays["block5_conv3/kernel"], arrays["block5_conv3/kernel"])
    assert "predictions/kernel" not in found.arrays


def test_a_file_of_another_width_is_refused(tmp_path: Path) -> None:
    network = Architecture(2, SLIM)
    weights.write(tmp_path / "theirs.weights.h5", network, random_arrays(network))

    with pytest.raises(WeightsError, match="shape"):
        load(str(tmp_path / "theirs.weights.h5"), tmp_path, width=1 / 16)


def test_a_version_gives_its_int8_graph_whether_that_serves_or_not(
    split_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(quantization, "LOG_LOSS", -1.0)
    request = Request(Config(backbone="random", width=SLIM), split_photos, "test")
    version = train(request, Store(tmp_path / "models"), tmp_path / "data", Recorder()).version
    assert version.manifest.quantization is not None
    assert not version.manifest.quantization.serves

    found = load("champion", tmp_path)
    (version.path / "int8.bin").unlink()
    damaged = load("1", tmp_path)

    assert found.int8 is not None
    assert found.int8.sha256 == version.manifest.quantization.graph
    assert damaged.int8 is None
    assert "training continues without it" in caplog.text
    assert damaged.fingerprint == found.fingerprint


def test_without_a_version_there_is_no_champion_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(NoChampion):
        load("champion", tmp_path)


def resolved(store: Path, classes: Sequence[str], backbone: str = "auto") -> tuple[str, str | None]:
    config, line = backbones.resolved(Config(backbone=backbone), Store(store), classes)
    return config.backbone, line


@pytest.mark.parametrize("classes", [("cat", "dog"), ("dog", "cat")])
def test_the_champions_own_classes_start_from_its_backbone(published: Path, classes: Sequence[str]) -> None:
    assert resolved(published, classes) == (
        "champion",
        "the backbone is the champion's, because the classes are its own (version 1: cat, dog)",
    )


@pytest.mark.parametrize("classes", [("cat", "fish"), ("cat", "dog", "fish"), ("Cat", "dog"), ("cats", "dogs")])
def test_other_classes_start_from_imagenets_backbone(published: Path, classes: Sequence[str]) -> None:
    assert resolved(published, classes) == (
        "imagenet",
        "the backbone is ImageNet's VGG16, because the classes aren't those of the champion (version 1: cat, dog)",
    )


def test_without_a_champion_the_backbone_is_imagenets(tmp_path: Path) -> None:
    found, line = resolved(tmp_path / "models", ("cat", "dog"))

    assert (found, line) == ("imagenet", "the backbone is ImageNet's VGG16, because no version is in service")


def test_of_many_classes_the_line_names_the_first(tmp_path: Path) -> None:
    publish(tmp_path, classes=tuple(f"breed {number}" for number in range(10, 22)))

    _, line = resolved(tmp_path, ("cat", "dog"))

    assert line is not None
    assert line.endswith("(version 1: breed 10, breed 11, breed 12, breed 13, breed 14 and 7 more)")


@pytest.mark.parametrize("backbone", ["champion", "imagenet", "random", "1", "theirs.h5"])
def test_a_backbone_that_is_asked_for_is_that_one_whatever_the_classes(published: Path, backbone: str) -> None:
    assert resolved(published, ("bird", "fish"), backbone) == (backbone, None)


def test_a_champion_that_is_broken_is_not_passed_over(published: Path) -> None:
    (published / "1" / "manifest.json").write_text("{}")

    with pytest.raises(BrokenVersion):
        resolved(published, ("cat", "dog"))
