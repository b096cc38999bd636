"""What a long training says of itself while it runs."""

import sys
from collections.abc import Mapping, Sequence
from time import monotonic

from keras.callbacks import Callback

from training.config import Stage

REFRESH_SECONDS = 0.5


class Progress(Callback):  # type: ignore[misc]  # Keras ships no types
    """A line an epoch: speed, losses and time left; on a terminal the line moves within the epoch.

    The time left assumes that a photo costs as much as it has pixels.
    """

    def __init__(self, stages: Sequence[Stage], photos: int) -> None:
        super().__init__()
        self._sizes = [stage.pixels for stage in stages for _ in range(stage.epochs)]
        self._photos = photos
        self._shown = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch
        self._started = monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if sys.stderr.isatty() and monotonic() - self._shown > REFRESH_SECONDS:
            self._shown = monotonic()
            share = (batch + 1) / self.params["steps"]
            self._show(share, logs or {}, "\r")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._show(1.0, logs or {}, "\n")

    def _show(self, share: float, logs: Mapping[str, float], end: str) -> None:
        seconds = max(monotonic() - self._started, 1e-9)
        size = self._sizes[self._epoch]
        work_left = (1 - share) * size**2 + sum(later**2 for later in self._sizes[self._epoch + 1 :])
        parts = [
            f"epoch {self._epoch + 1}/{len(self._sizes)}",
            f"{size} px",
            f"{share:4.0%}",
            f"{share * self._photos / seconds:,.0f} photos/s",
            f"{_clock(work_left * seconds / (share * size**2))} left",
            f"loss {logs['loss']:.4f}",
        ]
        if "val_log_loss" in logs:
            parts.append(f"validation log-loss {logs['val_log_loss']:.4f}, accuracy {logs['val_accuracy']:.2%}")
        print("  ".join(parts).ljust(100), end=end, file=sys.stderr, flush=True)  # what it is for


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
