"""Prediction ids that sort by time, even if the clock is set back."""

import secrets
from threading import Lock
from time import time_ns

TIME_DIGITS = 16  # of an id: nanoseconds since 1970, in hexadecimal
RANDOM_BYTES = 8
FARTHEST = 2**62  # nanoseconds, in 2116: an id from later than that is none that a clock gave


class PredictionIds:
    """Each sorts behind the ones before it: a clock that is set back counts from the last id. Safe on any thread."""

    def __init__(self) -> None:
        self._last = 0
        self._giving = Lock()

    def new(self) -> str:
        """An id that no other prediction has."""
        with self._giving:
            self._last = max(time_ns(), self._last + 1)
            return f"{self._last:0{TIME_DIGITS}x}{secrets.token_hex(RANDOM_BYTES)}"

    def follow(self, prediction_id: str) -> None:
        """Give ids that sort behind this one, which another process may have given."""
        if is_id(prediction_id) and (given := int(prediction_id[:TIME_DIGITS], 16)) < FARTHEST:
            with self._giving:
                self._last = max(given, self._last)


def is_id(text: str) -> bool:
    """Whether it may be the id of a prediction, and so the name of a file."""
    return len(text) == TIME_DIGITS + 2 * RANDOM_BYTES and set(text) <= set("0123456789abcdef")
