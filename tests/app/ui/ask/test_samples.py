"""The samples of the page: small, drawn by this project, and answered as their names say by the shipped model."""

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from catdog import images
from catdog.engines.openvino import OpenVINOEngine
from catdog.versions.store import Store
from tests.drawings import SAMPLES, SHOWN, drawn
from tests.places import ROOT, SHIPPED_MODELS

FOLDER = ROOT / "app" / "ui" / "static" / "samples"
LARGEST_BYTES = 25_000
ALIKE = 3.0  # mean difference of a pixel, 0-255, that JPEG makes


def test_the_samples_are_small() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == SAMPLES.keys()
    assert max(path.stat().st_size for path in FOLDER.iterdir()) < LARGEST_BYTES


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_what_its_command_draws(name: str) -> None:
    shipped = np.asarray(Image.open(FOLDER / f"{name}.jpg"), float)

    assert shipped.shape == (SHOWN, SHOWN, 3)
    assert np.abs(shipped - np.asarray(drawn(SAMPLES[name]), float)).mean() < ALIKE


def test_the_shipped_model_knows_the_animals_and_not_the_teapot() -> None:
    version = Store(SHIPPED_MODELS).open(1)
    engine, detector = OpenVINOEngine(version.network(), "auto"), version.detector()
    assert detector is not None

    found = {}
    for name in SAMPLES:
        output = engine.infer(images.decode((FOLDER / f"{name}.jpg").read_bytes())[np.newaxis])
        label = version.manifest.classes[int(output.logits.argmax())]
        found[name] = "unknown" if detector.judged(output.features)[1] else label

    assert found == {"cat": "cat", "dog": "dog", "teapot": "unknown"}


@pytest.mark.browser
def test_a_click_on_a_sample_asks_for_it(page: Page) -> None:
    page.get_by_role("button", name="Try the sample dog").click()

    answer = page.get_by_role("list", name="Answers").locator("> li")
    expect(answer).to_contain_text("dog.jpg · version 1")
    shown = page.get_by_role("img", name="dog.jpg")
    assert shown.evaluate("image => image.naturalWidth") == SHOWN
