"""Counts how many places of a limit are in use."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import Overloaded


class Room:
    """Counts on the event loop alone, so that it needs no lock."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self.refused = 0  # since the start

    @contextmanager
    def admitted(self, places: int = 1, retry_seconds: int = 1) -> Iterator[None]:
        """So many places from now until the end; Overloaded, with that hint, where there are too few."""
        self.check(places, retry_seconds)
        self.taken += places
        try:
            yield
        finally:
            self.taken -= places

    def check(self, places: int = 1, retry_seconds: int = 1) -> None:
        """Raise Overloaded where so many have no room now."""
        if self.taken + places > self.limit:
            self.refused += 1
            raise Overloaded(retry_seconds)
