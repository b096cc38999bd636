"""Turns the errors of a command into one line on stderr and an exit status."""

import sys
import traceback
from tempfile import NamedTemporaryFile
from typing import Final

from catdog import faults
from catdog.errors import CatdogError, StoreUnavailable
from catdog.faults import shown

DONE: Final = 0
FAILED: Final = 1
CANNOT_RUN: Final = 2  # an option is wrong, as argparse and Click have it, or a library is missing
STOPPED: Final = 130  # after Ctrl-C, as shells have it


def of_error(error: Exception) -> int:
    """Print what went wrong in one line, and return the exit status.

    The trace of an error that is a fault of catdog itself goes into a file, whose name is printed.
    """
    match error:
        case StoreUnavailable():  # there is no log here
            return failed(f"the object store doesn't answer: {error.reason}")
        case CatdogError():
            return failed(str(error))
        case OSError():
            return failed(_of_system(error))
        case ImportError() if (missing := faults.missing_library(error)) is not None:
            return failed(missing, CANNOT_RUN)
    with NamedTemporaryFile("w", prefix="catdog-", suffix=".log", delete=False, encoding="utf-8") as trace:
        traceback.print_exception(error, file=trace)
    return failed(f"it failed unexpectedly ({type(error).__name__}: {error}); the trace is in {trace.name}")


def failed(reason: str, status: int = FAILED) -> int:
    """Print the reason, and return the status."""
    sys.stderr.write(f"catdog: {reason}\n")
    return status


def _of_system(error: OSError) -> str:
    """The file and the reason; of a long name the beginning."""
    if error.filename is None:
        return str(error)
    return f"{shown(str(error.filename))}: {error.strerror}"
