"""Makes imports at start-up faster.

docs/decisions/serving/0010-one-photo-alone-or-several-that-share.md has what each part gains.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Modules that their importers can do without: OpenVINO then has no converter, and FastAPI doesn't check for models of
# pydantic 1.
UNUSED = ("openvino.tools.ovc", "pydantic.v1")

SWITCH_SECONDS = 0.0005  # Python's thread switch interval, instead of 0.005: the model loads while modules are imported


@contextmanager
def shortened() -> Iterator[None]:
    """Make imports inside the block faster: skip unused modules, and pause garbage collection.

    What is imported inside is exempt from later collections too. Threads switch more often inside.
    """
    sys.modules.update(dict.fromkeys(UNUSED))  # type: ignore[arg-type]  # None makes its import fail
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")  # else it searches every installed package for plugins
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        sys.setswitchinterval(interval)
