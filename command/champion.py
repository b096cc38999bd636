"""Loads a version as the service does, for commands that answer without one."""

import os
from pathlib import Path
from typing import Final

from app.serving import engine_selection
from app.serving.loaded_model import LoadedModel
from app.serving.loader import load, read
from app.settings import Settings, read_settings
from catdog.versions.store import Store
from command import model_folder

CACHE_HOME: Final = "XDG_CACHE_HOME"


def settings() -> Settings:
    """The settings of the service; SettingsError.

    Compiled graphs are kept in the user's cache folder if there is no data folder, because a command that only reads
    must not create one.
    """
    model_folder.find()
    found = engine_selection.settled(read_settings())
    if "data_dir" in found.model_fields_set or found.data_dir.is_dir():
        return found
    caches = Path(os.environ.get(CACHE_HOME) or Path.home() / ".cache")
    return found.model_copy(update={"data_dir": caches / "catdog"})


def loaded(settings: Settings, number: int | None = None) -> LoadedModel:
    """The champion or another version, after it has answered its golden pictures as at its publication; StoreError."""
    store = Store(settings.models_dir)
    version = store.open(store.champion() if number is None else number)
    return load(version, read(version, settings), settings)
