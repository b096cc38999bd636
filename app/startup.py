"""Makes imports at start-up faster.

docs/decisions/0010-one-photo-alone-or-several-that-share.md has what each part gains.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Modules that their importers can do without: OpenVINO then has no converter, and FastAPI doesn't check for models of
# pydantic 1.
UNUSED = ("openvino.tools.ovc", "pydantic.v1")


@contextmanager
def shortened() -> Iterator[None]:
    """Make imports inside the block faster: skip unused modules, and pause garbage collection.

    What is imported inside is exempt from later collections too.
    """
    sys.modules.update(dict.fromkeys(UNUSED))  # type: ignore[arg-type]  # None makes its import fail
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")  # else it searches every installed package for plugins
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
