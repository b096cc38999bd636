"""Tells the rest of the service that a shutdown has begun."""


class Shutdown:
    """Set once, by a signal. From then on the service isn't ready, streams end, and answers close their connections."""

    def __init__(self) -> None:
        self.is_leaving = False

    def begin(self) -> None:
        self.is_leaving = True
