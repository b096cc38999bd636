"""What the server says to the rest when the service is about to end."""


class Shutdown:
    """Set once, by a signal. From then on the service isn't ready, streams end, and answers close their connections."""

    def __init__(self) -> None:
        self.is_leaving = False

    def begin(self) -> None:
        self.is_leaving = True
