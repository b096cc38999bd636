"""Imports take most of a start: what makes them shorter."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Libraries go on without them: OpenVINO doesn't offer its converter, and FastAPI doesn't ask whether a model is one of
# pydantic 1's.
UNUSED = ("openvino.tools.ovc", "pydantic.v1")


@contextmanager
def shortened() -> Iterator[None]:
    """Import without what is never used, and without the collector looking for garbage among what will stay.

    What is imported inside is left out of later collections, too.
    """
    sys.modules.update(dict.fromkeys(UNUSED))  # type: ignore[arg-type]  # None is for "can't be imported"
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
