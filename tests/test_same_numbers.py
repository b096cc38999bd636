"""The seam that matters most: what training computes is what the service answers."""

from pathlib import Path

import pytest

from catdog import calibration
from catdog.store import Store
from tests.app.service import serving
from tests.waiting import until
from training import dataset, features
from training.config import Config
from training.dataset import Photo
from training.train import Request, train


def unexpected(photo: Photo, error: Exception) -> None:
    raise error


def test_a_photo_has_the_same_probabilities_in_training_and_over_http(split_photos: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    config = Config(backbone="random", width=1 / 32)
    version = train(Request(config, split_photos, command="test"), store, tmp_path / "data", unexpected)
    photos, output = features.outputs(
        dataset.read_split(split_photos, version.manifest.classes),
        version.manifest.architecture,
        version.load(),
        tmp_path / "data" / "features",
        unexpected,
    )
    in_training = calibration.probabilities(output.logits, version.manifest.temperature)

    with serving(store.root) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        for photo, expected in zip(photos, in_training, strict=True):
            answer = service.client.post("/predict", files={"file": photo.path.read_bytes()}).json()
            assert list(answer["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)
