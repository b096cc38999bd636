"""The model repository extension of the Open Inference Protocol."""

import re
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.errors import InvalidInference
from app.protocols import tensors
from app.protocols.schemas import IndexEntry
from app.protocols.tensors import short
from catdog.errors import BrokenVersion, VersionNotFound
from catdog.versions.store import Store


class _Index(BaseModel):
    model_config = ConfigDict(strict=True)

    ready: bool = False


class _Change(BaseModel):
    model_config = ConfigDict(strict=True)

    parameters: dict[str, Any] | None = None


def index(body: bytes, store: Store, loaded: Collection[int]) -> list[IndexEntry]:
    """Every version, oldest first, or only ready ones if the body asks for them; InvalidInference. Reads the disk."""
    only_ready = tensors.parsed(_Index, body).ready if body else False
    numbers = sorted({*store.versions(), *loaded})  # a deleted version may still be loaded
    entries = [_entry(number, store, loaded) for number in numbers]
    return [each for each in entries if each is not None and (each.state == "READY" or not only_ready)]


def version_asked(body: bytes, query: str) -> int | None:
    """The version to load or unload, from the query or the body; None, for the champion, if neither names one.

    InvalidInference if it isn't a number, or if the body contains a model or its configuration.
    """
    parameters = (tensors.parsed(_Change, body).parameters if body else None) or {}
    if foreign := [name for name in parameters if name == "config" or name.startswith("file:")]:
        raise InvalidInference(
            f"the parameter {short(foreign[0])} is not supported: versions are loaded as they are stored"
        )
    named = query or parameters.get("version")
    if named is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,17}", str(named)):
        raise InvalidInference(f"a version is a number, not {short(named)}")
    return int(named)


def _entry(number: int, store: Store, loaded: Collection[int]) -> IndexEntry | None:
    """None if the version was deleted in the meantime."""
    if number in loaded:
        return IndexEntry(version=str(number), state="READY", reason="")
    try:
        store.open(number)
    except BrokenVersion as error:
        return IndexEntry(version=str(number), state="UNAVAILABLE", reason=str(error))
    except VersionNotFound:
        return None
    return IndexEntry(version=str(number), state="UNAVAILABLE", reason="not loaded")
