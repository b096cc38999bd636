"""Formats validation errors and long names for messages."""

from collections.abc import Iterable, Mapping
from typing import Any

OURS = frozenset({"catdog", "training"})
LONGEST_REASON = 200  # characters

SHOWN_CHARACTERS = 100  # of a name
OF_VALIDATORS = "Value error, "  # which pydantic puts before the words of a validator


def in_one_line(faults: Iterable[Mapping[str, Any]], whole: str = "") -> str:
    """Each fault of `ValidationError.errors()` as "place: what is wrong with it", joined by semicolons.

    `whole` stands for the place of a fault that concerns the whole, unless a validator's words already say it.
    """
    return "; ".join(_sentence(fault, whole) for fault in faults)


def _sentence(fault: Mapping[str, Any], whole: str) -> str:
    place = ".".join(map(str, fault["loc"]))
    message: str = fault["msg"]
    words = message.removeprefix(OF_VALIDATORS)
    if place:
        return f"{place}: {words}"
    return f"{whole}: {words}" if whole and words == message else words


def shown(name: str) -> str:
    """A name as a message shows it: of a long one the beginning."""
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}..."


def missing_library(error: ImportError) -> str | None:
    """What is missing and what to do; None where it is a part of catdog itself, which no installation mends."""
    library = (error.name or "").partition(".")[0]
    if library in OURS:
        return None
    if isinstance(error, ModuleNotFoundError):
        return f"this needs {library}, which isn't installed; run `make trainer`"
    reason = str(error).partition("\n")[0][:LONGEST_REASON]  # of TensorFlow it is a whole trace
    return (
        f"{library or 'a library'} is installed, but can't be imported ({reason});"
        " remove the environment and install it again: make clean trainer"
    )
