"""The small version that ships as a file next to version 1."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from catdog import images
from catdog.engines.openvino import OpenVINOEngine
from catdog.network.architecture import Architecture
from catdog.transfer import archive
from catdog.versions.store import Store, Version
from tests.places import ROOT, SHIPPED_MODELS

SLIM = SHIPPED_MODELS / "slim.zip"
SAMPLES = ("cat", "dog")


@pytest.fixture(scope="module")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """Published in an empty store."""
    return archive.publish(SLIM, Store(tmp_path_factory.mktemp("models")))


def test_it_takes_a_fifteenth_of_the_work_and_four_megabytes(slim: Version) -> None:
    assert slim.manifest.architecture.multiply_adds <= Architecture(2, 1.0).multiply_adds / 15
    assert SLIM.stat().st_size <= 4_000_000


def test_it_was_taught_by_version_1_and_serves_in_int8(slim: Version) -> None:
    slim.verify()

    assert slim.manifest.lineage.strategy == "compress"
    assert slim.manifest.classes == Store(SHIPPED_MODELS).open(1).manifest.classes
    assert slim.manifest.quantization is not None
    assert slim.manifest.unknown is not None


def test_it_knows_the_samples_of_the_page(slim: Version) -> None:
    photos = np.stack([images.decode((ROOT / f"app/ui/static/samples/{name}.jpg").read_bytes()) for name in SAMPLES])

    logits = OpenVINOEngine(slim.network()).infer(photos).logits

    assert [slim.manifest.classes[place] for place in logits.argmax(axis=1)] == list(SAMPLES)


def test_no_photo_is_passed_on_with_it() -> None:
    with ZipFile(SLIM) as files:
        names = {Path(name).name for name in files.namelist()}

    assert "model-card.md" in names
    assert "worst-mistakes.png" not in names
