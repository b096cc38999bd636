"""Reports the progress of a training."""

import sys
from collections.abc import Mapping
from time import monotonic
from typing import Literal, Protocol

from catdog.datasets.layout import printable
from catdog.errors import CatdogError
from training.data.dataset import Photo

QUIET_SECONDS = 30  # without a terminal, between two lines on how far a phase is

# Photos are read and go through the backbone; what is trained is; its int8 graph is made, of a frozen backbone first of
# all; it is measured, and the champion with it.
Phase = Literal["features", "fitting", "quantizing", "measuring", "publishing"]


class Observer(Protocol):
    """Is told what happens in a training. Whatever it raises ends the training."""

    def skipped(self, photo: Photo, error: CatdogError) -> None:
        """A photo can't be read, and was left out."""

    def backbone(self, choice: str) -> None:
        """Which backbone was chosen for the training, and why; nothing is said of one that was asked for."""

    def phase(self, name: Phase) -> None:
        """A phase begins; features and fitting come twice where a head is fitted before more is."""

    def progress(self, share: float, seconds_left: float | None) -> None:
        """So much of the phase is done, 0-1; it takes about so long still, None where that can't be told."""

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        """An epoch of so many has ended: its number, seconds, pixels, photos_per_second, losses and accuracies."""


class Terminal:
    """Prints to stderr: a line a photo skipped, a line on the backbone, a line an epoch, and how far a phase is.

    That is always up to date on a terminal, and else a line every QUIET_SECONDS.
    """

    def __init__(self) -> None:
        self._left = "?"
        self._said = monotonic()

    def skipped(self, photo: Photo, error: CatdogError) -> None:
        _print(f"skipped {printable(str(photo.path))}: {error}")

    def backbone(self, choice: str) -> None:
        _print(choice)

    def phase(self, name: Phase) -> None:
        """Not printed: what takes long says more of itself."""

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
    print(line.ljust(100), end=end, file=sys.stderr, flush=True)  # as wide as what it may have to cover


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
