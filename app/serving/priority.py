"""Lowers the priority of a thread."""

import os
import sys
import threading


def step_aside(nice: int) -> None:
    """Lower this thread's priority to the Unix nice value, unless it is lower; those that it starts inherit that."""
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        thread = threading.get_native_id()
        # To raise it takes root: the whole service may have been started with a lower one.
        os.setpriority(os.PRIO_PROCESS, thread, max(nice, os.getpriority(os.PRIO_PROCESS, thread)))
