"""Points at which a test can kill the process.

The environment variable `FAILPOINTS=publish.renamed` kills the process when it reaches that point; several points are
separated by commas. Without the variable this does nothing.
"""

import os
import signal
from typing import Final

VARIABLE: Final = "FAILPOINTS"

OF_PICTURES: Final = ("pictures.placed", "pictures.added", "picture.unlabelled")

OF_PROCESSES: Final = ("process.0.starts", "process.1.starts")  # of a service with several

# In the order in which a classification reaches them.
OF_CLASSIFYING: Final = (
    "classify.begun",
    "classify.row",
    "classify.committed",
    "classify.answered",
    "classify.written",
    "sort.decided",
    "sort.transferred",
)

# In the order in which the trial of a candidate reaches them.
OF_TRIALS: Final = ("trial.begun", "trial.decided", "trial.promoted")

# In the order in which a job reaches them.
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
    """Kill the process here if FAILPOINTS contains `name`."""
    if name in os.environ.get(VARIABLE, "").split(","):
        os.kill(os.getpid(), signal.SIGKILL)
