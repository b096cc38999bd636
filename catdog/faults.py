"""Formats validation errors and long names for messages."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

OURS = frozenset({"app", "catdog", "command", "training"})
EXTRAS = {  # by library; all others are of the trainer
    "adlfs": "cloud",
    "ai_edge_litert": "export",
    "gcsfs": "cloud",
    "httpx": "client",
    "obstore": "storage",
    "onnx": "export",
    "onnxruntime": "export",
    "pyarrow": "parquet",
    "ray": "ray",
    "s3fs": "cloud",
    "tf2onnx": "export",
}
IS_CHECKOUT = (Path(__file__).parents[1] / "Makefile").is_file()
LONGEST_REASON = 200  # characters

SHOWN_CHARACTERS = 100  # of a name
OF_VALIDATORS = "Value error, "  # pydantic's prefix of a validator's message


def in_one_line(faults: Iterable[Mapping[str, Any]], whole: str = "") -> str:
    """The entries of `ValidationError.errors()` as "place: problem", joined by semicolons.

    `whole` is used as the place of an error without one, unless a validator's message already says it.
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
    """A name for a message; long names are cut."""
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}..."


def missing_library(error: ImportError) -> str | None:
    """Which library is missing and what to do; None if a module of catdog itself is missing."""
    library = (error.name or "").partition(".")[0]
    if library in OURS:
        return None
    if isinstance(error, ModuleNotFoundError):
        return f"this needs {library}, which isn't installed; {_remedy(library)}"
    reason = str(error).partition("\n")[0][:LONGEST_REASON]  # TensorFlow's message is a whole traceback
    return (
        f"{library or 'a library'} is installed, but can't be imported ({reason});"
        " remove the environment and install it again: make clean trainer"
    )


def _remedy(library: str) -> str:
    """How to install a library: by make in a checkout, by pip where catdog itself was installed by it."""
    if library not in EXTRAS and IS_CHECKOUT:
        return "run `make trainer`"
    extra = EXTRAS.get(library, "train")
    return f"install catdog with its extra `{extra}`, in its checkout: pip install '.[{extra}]'"
