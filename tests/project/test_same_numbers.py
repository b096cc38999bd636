"""The service answers with the same probabilities that training computes."""

from pathlib import Path

import pytest

from catdog.versions.store import SHIPPED, Store
from catdog.versions.version import Version
from tests.app.service import serving
from tests.observers import Recorder
from tests.places import ROOT
from tests.waiting import until
from training.data import dataset
from training.data.dataset import Photo
from training.data.features import FeatureExtractor
from training.fitting.config import Config
from training.publishing.pipeline import Request, train


def unexpected(photo: Photo, error: Exception) -> None:
    raise error


def computed(version: Version, data: Path, folder: Path) -> tuple[tuple[Photo, ...], list[list[float]]]:
    """The photos of a folder, and their probabilities as training computes them."""
    manifest = version.manifest
    photos = dataset.read_split(data, manifest.classes)
    cache = folder / "data" / "features"
    photos, output, _ = FeatureExtractor(cache, unexpected).outputs(photos, version.network())
    return photos, manifest.calibration.probabilities(output.logits).tolist()


@pytest.mark.data
def test_a_real_photo_has_the_same_probabilities_in_training_and_over_http(shared_data: Path, tmp_path: Path) -> None:
    """The shipped model, which is right on at least 38 of 40 cats and of 40 dogs."""
    shipped = Store(ROOT / "models").open(SHIPPED)
    photos, in_training = computed(shipped, shared_data / "originals", tmp_path)
    right = dict.fromkeys(shipped.manifest.classes, 0)

    with serving(ROOT / "models") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        for photo, expected in zip(photos, in_training, strict=True):
            answer = service.client.post("/predict", files={"file": photo.path.read_bytes()}).json()
            assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=1e-6)
            right[answer["label"]] += answer["label"] == shipped.manifest.classes[photo.label]

    assert min(right.values()) >= 38


def test_the_shipped_version_is_as_good_as_promised() -> None:
    measured = Store(ROOT / "models").open(SHIPPED).manifest.metrics["test"]

    assert measured.photos >= 1000
    assert measured.accuracy >= 0.975
    assert measured.calibration_error < 0.02


def test_a_photo_has_the_same_probabilities_in_training_and_over_http(split_photos: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    config = Config(backbone="random", width=1 / 32)
    version = train(Request(config, split_photos, command="test"), store, tmp_path / "data", Recorder()).version
    photos, in_training = computed(version, split_photos, tmp_path)

    with serving(store.root) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        for photo, expected in zip(photos, in_training, strict=True):
            answer = service.client.post("/predict", files={"file": photo.path.read_bytes()}).json()
            assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=1e-6)
