"""The choice of the engine if the settings leave it open."""

import sys
from pathlib import Path

import pytest

from app.serving import engine_selection
from app.serving.engine_selection import choose
from app.settings import Settings


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a GPU driver's device exist."""
    device = tmp_path / "nvidiactl"
    device.touch()
    monkeypatch.setattr(engine_selection, "DRIVERS", (device,))
    return device


def test_without_a_gpu_the_processor_serves_and_no_framework_is_imported(
    driver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.unlink()
    monkeypatch.setitem(sys.modules, "catdog.engines.keras", None)  # importing it would fail

    assert choose(Settings(engine="auto")) == ("openvino", "no GPU was found")


def test_a_driver_alone_is_no_gpu(driver: Path) -> None:
    assert choose(Settings(engine="auto")) == (
        "openvino",
        "there is a GPU driver, but Keras finds no GPU that it can use",
    )


def test_a_gpu_that_keras_can_use_is_chosen(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catdog.engines.keras.has_accelerator", lambda: True)

    assert choose(Settings(engine="auto")).engine == "keras"
    assert choose(Settings(engine="auto", precision="int8")).engine == "openvino"


def test_without_keras_the_processor_serves(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)

    assert choose(Settings(engine="auto")) == ("openvino", "Keras isn't installed")


@pytest.mark.parametrize("engine", ["openvino", "keras"])
def test_what_the_settings_say_is_done(engine: str) -> None:
    assert choose(Settings.model_validate({"engine": engine})) == (engine, "set by CATDOG_ENGINE")
