"""Tests wait for conditions, and never sleep for a fixed time."""

import threading
from collections.abc import Callable
from time import monotonic

PATIENCE_SECONDS = 60  # generous, for a busy machine


def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS, every: float = 0.005) -> None:
    """Wait for the condition, polled at an interval of seconds, and fail if it doesn't become true in time."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it never happened"
        threading.Event().wait(every)
