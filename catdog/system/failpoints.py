"""Points at which a test can kill the process.

`FAILPOINTS=publish.renamed` in the environment ends the process when it comes to that place; several are separated by
commas. Without the variable this does nothing.
"""

import os
import signal
from typing import Final

VARIABLE: Final = "FAILPOINTS"

OF_PICTURES: Final = ("pictures.placed", "pictures.added", "picture.unlabelled")

# In the order in which a job comes by.
NAMES: Final = (
    "job.submitted",
    "job.claimed",
    "job.trained",
    "publish.written",
    "publish.described",
    "publish.renamed",
    "promote.verified",
    "promote.replaced",
    "job.finished",
)


def failpoint(name: str) -> None:
    """End the process here, if the environment asks for it."""
    if name in os.environ.get(VARIABLE, "").split(","):
        os.kill(os.getpid(), signal.SIGKILL)
