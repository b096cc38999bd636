"""Chooses the engine, with the reason."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from app.settings import Settings, SettingsError

logger = logging.getLogger(__name__)

# Devices of the NVIDIA driver, on Linux and in WSL; without them no framework is imported to look for a GPU.
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))


class Choice(NamedTuple):
    engine: Literal["openvino", "keras"]
    reason: str


def settled(settings: Settings) -> Settings:
    """The settings with the engine chosen; logged if it was `auto`. Raises SettingsError."""
    choice = choose(settings)
    if settings.engine == "auto":
        where = "a GPU, with Keras" if choice.engine == "keras" else "the processor, with OpenVINO"
        logger.info("the network runs on %s: %s", where, choice.reason)
    return settings.model_copy(update={"engine": choice.engine})


def choose(settings: Settings) -> Choice:
    """The engine for this machine; SettingsError if the one in the settings isn't available."""
    if "engine" not in settings.model_fields_set:
        return Choice("openvino", "the default; CATDOG_ENGINE=auto looks for a GPU")
    if settings.engine == "openvino":
        return Choice("openvino", "set by CATDOG_ENGINE")
    if find_spec("keras") is None:
        if settings.engine == "keras":
            raise SettingsError("CATDOG_ENGINE=keras needs Keras, which isn't installed; run `make trainer`")
        return Choice("openvino", "Keras isn't installed")
    if settings.engine == "keras":
        return Choice("keras", "set by CATDOG_ENGINE")
    return _automatic(settings)


def _automatic(settings: Settings) -> Choice:
    if settings.precision == "int8":
        return Choice("openvino", "Keras doesn't support CATDOG_PRECISION=int8")
    if not any(driver.exists() for driver in DRIVERS):
        return Choice("openvino", "no GPU was found")
    from catdog.engines.keras import has_accelerator  # it imports a whole framework

    if not has_accelerator():
        return Choice("openvino", "there is a GPU driver, but Keras finds no GPU that it can use")
    return Choice("keras", "Keras finds a GPU")
