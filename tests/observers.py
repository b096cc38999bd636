"""An observer that records a training in a test."""

from collections.abc import Mapping

from catdog.errors import CatdogError
from training.data.dataset import Photo
from training.fitting.observer import Phase


class Recorder:
    """Records all events; a skipped photo is a failure."""

    def __init__(self) -> None:
        self.backbones: list[str] = []
        self.phases: list[Phase] = []
        self.shares: list[float] = []
        self.seconds_left: list[float | None] = []
        self.epochs: list[tuple[Mapping[str, float], int]] = []

    def skipped(self, photo: Photo, error: CatdogError) -> None:
        raise error

    def backbone(self, choice: str) -> None:
        self.backbones.append(choice)

    def phase(self, name: Phase) -> None:
        self.phases.append(name)

    def progress(self, share: float, seconds_left: float | None) -> None:
        self.shares.append(share)
        self.seconds_left.append(seconds_left)

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        self.epochs.append((row, epochs))
