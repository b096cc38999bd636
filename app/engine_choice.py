"""Which engine runs the network, and why."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from app.settings import Settings, SettingsError

# Where the driver of an NVIDIA GPU is found, on Linux and in WSL: so that without one no framework is imported.
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))


class Choice(NamedTuple):
    engine: Literal["openvino", "keras"]
    reason: str


def choose(settings: Settings) -> Choice:
    """What `settings.engine` comes to on this machine; SettingsError where it can't be had."""
    if settings.engine == "openvino":
        return Choice("openvino", "CATDOG_ENGINE says so")
    if find_spec("keras") is None:
        if settings.engine == "keras":
            raise SettingsError("CATDOG_ENGINE=keras needs Keras, which isn't installed; run `make trainer`")
        return Choice("openvino", "Keras isn't installed")
    if settings.engine == "keras":
        return Choice("keras", "CATDOG_ENGINE says so")
    return _automatic(settings)


def _automatic(settings: Settings) -> Choice:
    if settings.precision == "int8":
        return Choice("openvino", "CATDOG_PRECISION=int8 can't be had from Keras")
    if not any(driver.exists() for driver in DRIVERS):
        return Choice("openvino", "no GPU is found here")
    from catdog.engines.keras import has_accelerator  # it brings a whole framework

    if not has_accelerator():
        return Choice("openvino", "there is a GPU's driver, but Keras finds no GPU that it can use")
    return Choice("keras", "Keras finds a GPU")
