"""Interrupts the main thread on request, but never within a critical section."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from threading import Thread
from time import monotonic
from types import FrameType


class Reason(Enum):
    """Why a job is interrupted."""

    CANCELLED = "the job was cancelled"
    LOST = "the job was taken from this worker"
    STOPPED = "the worker was stopped"


class Interrupted(BaseException):
    """Raised in the main thread; an `except Exception` in a library doesn't catch it."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


class Interruptions:
    """The interruptions of this process; handles SIGTERM and SIGINT, which mean STOPPED, and SIGUSR1."""

    def __init__(self) -> None:
        self._reason: Reason | None = None
        self._asked_at = 0.0
        self._shields = 0
        self._raised = False

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGUSR1, self._wake)

    @property
    def reason(self) -> Reason | None:
        """The first requested reason, if any."""
        return self._reason

    @property
    def seconds_ago(self) -> float:
        """How long ago the first request was."""
        return monotonic() - self._asked_at

    def ask(self, reason: Reason) -> None:
        """Raise Interrupted in the main thread as soon as it isn't shielded; called from any other thread."""
        self._note(reason)
        os.kill(os.getpid(), signal.SIGUSR1)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """A step that isn't interrupted; a request during it is raised after it."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        self.check()

    def check(self) -> None:
        """Raise Interrupted if it was requested; only once."""
        if self._reason is not None and not self._shields and not self._raised:
            self._raised = True
            raise Interrupted(self._reason)

    def _note(self, reason: Reason) -> None:
        if self._reason is None:
            self._reason, self._asked_at = reason, monotonic()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._note(Reason.STOPPED)
        self.check()

    def _wake(self, number: int, frame: FrameType | None) -> None:
        self.check()


def end_with_stdin() -> None:
    """Stop this process when its standard input is closed, because then the service that started it has ended."""
    Thread(target=_end_with_stdin, name="stdin", daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
