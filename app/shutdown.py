"""Ends the process on a signal, and holds the flag that a shutdown has begun."""

import os
import signal
import sys

TYPE_CHECKING = False  # typing's own would be one more import before signals are handled
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn


class Shutdown:
    """A flag that a signal sets. Then the service isn't ready, streams end, and answers close their connections.

    With several processes, one may end alone, while the others go on: then the service stays ready.
    """

    def __init__(self) -> None:
        self.is_leaving = False
        self.is_replaced = False

    @property
    def ends_service(self) -> bool:
        return self.is_leaving and not self.is_replaced

    def begin(self) -> None:
        self.is_leaving = True

    def begin_alone(self) -> None:
        """Only this process ends."""
        self.is_leaving = self.is_replaced = True


def exit_now(status: str | int | None) -> "NoReturn":
    """End the process without waiting for its threads: one that decodes a costly photo would delay the exit."""
    import logging

    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0)


def raise_exit(signal_number: int, frame: "FrameType | None") -> None:
    sys.exit(0)


def exit_at_once(signal_number: int, frame: "FrameType | None") -> None:
    """For use during imports: inside some modules Python swallows an exception that a signal handler raises."""
    os._exit(0)


def handle_signals(handler: "Callable[[int, FrameType | None], None]") -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)
