"""A network that was trained elsewhere becomes a version like any other."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from catdog.errors import CatdogError, DatasetError, RecipeError, WeightsError
from catdog.versions.store import Store
from tests.observers import Recorder
from tests.training.importing.test_foreign import torchs
from training.fitting.config import Config
from training.importing import foreign
from training.publishing.import_model import Import, import_model, read_classes
from training.publishing.pipeline import Request, train


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of PyTorch with two classes."""
    path = tmp_path_factory.mktemp("torch") / "vgg16.safetensors"
    saved, _ = torchs()
    save_file({name: array[:2] if name.startswith("classifier") else array for name, array in saved.items()}, path)
    return path


def test_it_is_calibrated_measured_quantized_and_judged(file: Path, split_photos: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    config = Config(backbone="random", width=1 / 32)
    train(Request(config, split_photos, command=""), store, tmp_path / "data", Recorder())

    asked = Import(file, ("dog", "cat"), split_photos, "catdog import-model")
    outcome = import_model(asked, store, tmp_path / "data", Recorder())

    manifest = outcome.version.manifest
    assert (manifest.version, manifest.classes) == (2, ("cat", "dog"))
    assert manifest.metrics.keys() == {"validation", "test"}
    assert manifest.metrics["test"].photos == 60
    assert manifest.quantization is not None
    assert manifest.golden is not None
    assert manifest.unknown is not None
    assert manifest.decision is not None
    assert (manifest.decision.champion, manifest.decision.photos) == (1, 60)
    assert store.champion() == (2 if outcome.promoted else 1)
    assert "vgg16.safetensors, sha256 " in manifest.lineage.notes
    expected = foreign.read(file, 2).arrays["predictions/kernel"][:, ::-1]
    np.testing.assert_array_equal(outcome.version.load()["predictions/kernel"], expected)


@pytest.mark.parametrize(
    ("classes", "problem", "error"),
    [
        (("cat", "dog", "fish"), "answers with 2 classes, but 3 are named", WeightsError),
        (("cat", "cat"), "each once", RecipeError),
        (("cat", "fish"), "has the classes cat, dog, but the model has cat, fish", DatasetError),
    ],
)
def test_wrong_classes_publish_nothing(
    classes: tuple[str, ...], problem: str, error: type[CatdogError], file: Path, split_photos: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "models")

    with pytest.raises(error, match=problem):
        import_model(Import(file, classes, split_photos, ""), store, tmp_path / "data", Recorder())
    assert store.versions() == ()
    assert not any(store.root.glob(".draft-*"))


def test_classes_are_named_in_the_option_or_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("dog\n\nsiamese cat\n")

    assert read_classes("dog, cat") == ("dog", "cat")
    assert read_classes(str(tmp_path / "classes.txt")) == ("dog", "siamese cat")
