"""Chooses the engine and says why."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from app.settings import Settings, SettingsError

logger = logging.getLogger(__name__)

# Where the driver of an NVIDIA GPU is found, on Linux and in WSL: so that without one no framework is imported.
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))


class Choice(NamedTuple):
    engine: Literal["openvino", "keras"]
    reason: str


def settled(settings: Settings) -> Settings:
    """The same, with the engine chosen, which the log says where it was left open; SettingsError."""
    choice = choose(settings)
    if settings.engine == "auto":
        where = "a GPU, with Keras" if choice.engine == "keras" else "the processor, with OpenVINO"
        logger.info("the network runs on %s: %s", where, choice.reason)
    return settings.model_copy(update={"engine": choice.engine})


def choose(settings: Settings) -> Choice:
    """What `settings.engine` comes to on this machine; SettingsError where it can't be had."""
    if "engine" not in settings.model_fields_set:
        return Choice("openvino", "that is the default; CATDOG_ENGINE=auto looks for a GPU")
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
