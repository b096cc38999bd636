"""Secrets in files of the data folder, which are created when they are first needed."""

import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from app.settings import SettingsError
from catdog.system import durable

logger = logging.getLogger(__name__)


def read(file: Path, what: str, variable: str, make: Callable[[], str]) -> str:
    """The content of the file, which is created with what `make` returns if there is none.

    SettingsError if that fails; its message names `what` the secret is and the `variable` that sets it instead.
    """
    try:
        if not file.exists():
            _create(file, what, make())
        return file.read_bytes().decode("ascii", "replace").strip()
    except OSError as error:
        raise SettingsError(
            f"{what} can't be stored in {file} ({error.strerror}); make it writable, or set {variable}"
        ) from error


def _create(file: Path, what: str, content: str) -> None:
    """Create the file atomically. If several services start at once, all use the first one's."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        aside.touch(0o600, exist_ok=False)
        aside.write_text(f"{content}\n", "ascii")
        durable.sync(aside)
        os.link(aside, file)
    except FileExistsError:
        return
    finally:
        aside.unlink(missing_ok=True)
    logger.info("%s is in %s", what, file.absolute())
