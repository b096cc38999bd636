"""The model of this machine: finds its store, loads a version as the service does, and serves it.

The store is that of the settings, else `models` here, else the one installed with catdog.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from app.serving.loaded_model import LoadedModel
    from app.settings import Settings
    from catdog.versions.store import Store

CACHE_HOME: Final = "XDG_CACHE_HOME"
SETTING: Final = "CATDOG_MODELS_DIR"
DEFAULT: Final = Path("models")
CHECKOUT: Final = Path(__file__).parents[1]
INSTALLED: Final = ("share", "catdog", "models", "1", "manifest.json")  # where pyproject.toml puts the shipped version


def find() -> None:
    """Make the setting name the installed store, if no other is set and there is none in this folder."""
    if not _is_chosen() and (store := shipped()) is not None:
        os.environ[SETTING] = str(store)


def fill() -> None:
    """Copy the installed version into `models` here, if no store is set and there is none: for commands that write."""
    if _is_chosen() or (store := shipped()) is None:
        return
    from catdog.versions.store import SHIPPED, Store

    if Store(DEFAULT).adopt(store / str(SHIPPED)):
        sys.stderr.write(f"catdog: the shipped version is copied into {DEFAULT.absolute()}\n")


def store() -> "Store":
    """The store of the settings; SettingsError."""
    from app.settings import read_settings
    from catdog.versions.store import Store

    return Store(read_settings().models)


def shipped() -> Path | None:
    """The store that came with catdog, in a checkout or as installed by pip; None if it was removed."""
    if (CHECKOUT / "pyproject.toml").is_file():
        store = CHECKOUT / "models"
        return store if store.is_dir() else None
    from importlib.metadata import PackageNotFoundError, files

    with suppress(PackageNotFoundError):
        for file in files("catdog") or ():
            if file.parts[-len(INSTALLED) :] == INSTALLED:
                return Path(str(file.locate())).resolve().parents[1]
    return None


def settings() -> "Settings":
    """The settings of the service; SettingsError.

    Compiled graphs are kept in the user's cache folder if there is no data folder, because a command that only reads
    must not create one.
    """
    from app.serving import engine_selection
    from app.settings import read_settings

    find()
    found = engine_selection.settled(read_settings())
    if "data_dir" in found.model_fields_set or found.data_dir.is_dir():
        return found
    caches = Path(os.environ.get(CACHE_HOME) or Path.home() / ".cache")
    return found.model_copy(update={"data_dir": caches / "catdog"})


def loaded(settings: "Settings", number: int | None = None) -> "LoadedModel":
    """The champion or another version, after it has answered its golden pictures as at its publication; StoreError."""
    from app.serving.loader import load, read
    from catdog.versions.store import Store

    store = Store(settings.models)
    version = store.open(store.champion() if number is None else number)
    return load(version, read(version, settings), settings)


def serve() -> None:
    """Serve until SIGTERM or Ctrl-C, with the settings from the environment: CATDOG_PORT=9000 catdog serve."""
    from app import __main__ as service
    from app import shutdown
    from app.processes import assembly

    def fill_and_serve() -> None:
        fill()
        service.serve()

    shutdown.handle_signals(shutdown.exit_at_once)
    assembly.run(fill_and_serve)


def _is_chosen() -> bool:
    """Whether the settings name a store, or there is one in this folder."""
    from app import environment

    try:
        settings = environment.given()
    except (OSError, UnicodeDecodeError):  # of `.env`; the settings report it
        return True
    return bool(settings.get(SETTING)) or (DEFAULT.is_dir() and any(each.name.isdigit() for each in DEFAULT.iterdir()))
