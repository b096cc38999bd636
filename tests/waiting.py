"""Tests wait for what they expect, and never sleep for a while that should do."""

import threading
from collections.abc import Callable
from time import monotonic

PATIENCE_SECONDS = 60  # what a busy machine may take for anything here


def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS, every: float = 0.005) -> None:
    """Wait for the condition, looked at every so many seconds, and fail where it doesn't come true."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it never happened"
        threading.Event().wait(every)
