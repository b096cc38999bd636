"""Reports the progress of a training."""

import sys
from collections.abc import Mapping
from time import monotonic
from typing import Literal, Protocol

from catdog.datasets.layout import printable
from catdog.errors import CatdogError
from training.data.dataset import Photo

QUIET_SECONDS = 30  # without a terminal, between two progress lines of a phase

# features: photos are decoded and run through the backbone; fitting: the training itself; quantizing: the int8 graph is
# made, before everything else if the backbone is frozen; measuring: the version and the champion are evaluated.
Phase = Literal["features", "fitting", "quantizing", "measuring", "publishing"]


class Observer(Protocol):
    """Receives the events of a training. An exception from any method ends the training."""

    def skipped(self, photo: Photo, error: CatdogError) -> None:
        """A photo can't be read and was left out."""

    def backbone(self, choice: str) -> None:
        """A sentence on which backbone was chosen and why; not called if one was requested explicitly."""

    def phase(self, name: Phase) -> None:
        """A phase begins; features and fitting occur twice if a head is fitted before further training."""

    def progress(self, share: float, seconds_left: float | None) -> None:
        """The completed share of the phase, 0-1, and the estimated time left, None if unknown."""

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        """One of `epochs` epochs ended: its number, seconds, pixels, photos_per_second, losses and accuracies."""


class Terminal:
    """Prints to stderr: a line per skipped photo, per epoch and on the backbone, and the progress of a phase.

    The progress is updated in place on a terminal, else printed every QUIET_SECONDS.
    """

    def __init__(self) -> None:
        self._left = "?"
        self._said = monotonic()

    def skipped(self, photo: Photo, error: CatdogError) -> None:
        _print(f"skipped {printable(str(photo.path))}: {error}")

    def backbone(self, choice: str) -> None:
        _print(choice)

    def phase(self, name: Phase) -> None:
        """Not printed: long phases report their progress."""

    def progress(self, share: float, seconds_left: float | None) -> None:
        self._left = "?" if seconds_left is None else _clock(seconds_left)
        if sys.stderr.isatty():
            _print(f"{share:4.0%}  {self._left} left", end="\r")
        elif monotonic() - self._said >= QUIET_SECONDS:
            self._said = monotonic()
            _print(f"{share:4.0%}  {self._left} left")

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        parts = [
            f"epoch {row['epoch']}/{epochs}",
            f"{row['pixels']} px",
            f"{row['photos_per_second']:,.0f} photos/s",
            f"{self._left} left",
            f"loss {row['loss']:.4f}",
            f"validation log-loss {row['val_log_loss']:.4f}, accuracy {row['val_accuracy']:.2%}",
        ]
        _print("  ".join(parts))


def _print(line: str, end: str = "\n") -> None:
    print(line.ljust(100), end=end, file=sys.stderr, flush=True)  # wide enough to overwrite the previous line


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
