"""Makes imports at start-up faster."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

# Libraries go on without them: OpenVINO doesn't offer its converter, and FastAPI doesn't ask whether a model is one of
# pydantic 1's.
UNUSED = ("openvino.tools.ovc", "pydantic.v1")

SWITCH_SECONDS = 0.0005  # what a thread waits for Python's lock, instead of 0.005: the model is loaded beside imports


@contextmanager
def shortened() -> Iterator[None]:
    """Import without what is never used, and without the collector looking for garbage among what will stay.

    What is imported inside is left out of later collections, too. Threads take turns more often meanwhile.
    """
    sys.modules.update(dict.fromkeys(UNUSED))  # type: ignore[arg-type]  # None is for "can't be imported"
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")  # it looks through every installed package for some
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        sys.setswitchinterval(interval)


def unbuilt(module: str) -> None:
    """Import a module whose pydantic models are to be built when they are first used."""
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True  # each model takes it over when it is defined
    try:
        import_module(module)
    finally:
        del BaseModel.model_config["defer_build"]
