"""Interrupts the main thread on request, but never within a critical section."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from time import monotonic
from types import FrameType


class Reason(Enum):
    """Why a job is to end before its end."""

    CANCELLED = "somebody cancelled it"
    LOST = "it isn't this worker's any more"
    STOPPED = "the worker is to end"


class Interrupted(BaseException):
    """Raised in the main thread; no `except Exception` of a library stops it."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


class Interruptions:
    """One of them serves a process: it takes SIGTERM and SIGINT, which mean STOPPED, and SIGUSR1."""

    def __init__(self) -> None:
        self._reason: Reason | None = None
        self._asked_at = 0.0
        self._shields = 0
        self._told = False

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGUSR1, self._wake)

    @property
    def reason(self) -> Reason | None:
        """What was asked for first, if anything was."""
        return self._reason

    @property
    def seconds_ago(self) -> float:
        """How long ago that was."""
        return monotonic() - self._asked_at

    def ask(self, reason: Reason) -> None:
        """Raise Interrupted in the main thread as soon as it may be; for any other thread to call."""
        self._note(reason)
        os.kill(os.getpid(), signal.SIGUSR1)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """A step that is taken whole; what is asked meanwhile is raised behind it."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        self.check()

    def check(self) -> None:
        """Raise Interrupted if it was asked for, once."""
        if self._reason is not None and not self._shields and not self._told:
            self._told = True
            raise Interrupted(self._reason)

    def _note(self, reason: Reason) -> None:
        if self._reason is None:
            self._reason, self._asked_at = reason, monotonic()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._note(Reason.STOPPED)
        self.check()

    def _wake(self, number: int, frame: FrameType | None) -> None:
        self.check()
