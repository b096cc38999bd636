"""Tests wait for what they expect, and never sleep for a while that should do."""

import threading
from collections.abc import Callable
from time import monotonic

PATIENCE_SECONDS = 60  # what a busy machine may take for anything here


def until(condition: Callable[[], bool]) -> None:
    """Wait for the condition, and fail where it doesn't come true."""
    deadline = monotonic() + PATIENCE_SECONDS
    while not condition():
        assert monotonic() < deadline, "it never happened"
        threading.Event().wait(0.005)
