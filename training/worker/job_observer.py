"""Reports the progress of a job to its record, and its events to its log."""

from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

from catdog.errors import CatdogError
from catdog.jobs.queue import Lease
from catdog.system.failpoints import failpoint
from training.data.dataset import Photo
from training.fitting.observer import Observer, Phase, Terminal

REPORT_SECONDS: Final = 1.0  # between two reports of progress


class JobObserver(Observer):
    """Reports progress to the job, and events to the log."""

    def __init__(self, lease: Lease, shares: Mapping[str, tuple[float, float]]) -> None:
        self._lease = lease
        self._shares = shares
        self._log = Terminal()
        self._said: dict[str, Any] = {}
        self._reported = 0.0
        self._started = monotonic()

    @property
    def said(self) -> Mapping[str, Any]:
        """The progress as it is stored with the job."""
        return self._said

    def begin(self, phase: str) -> None:
        """A phase begins, of the training or of the job."""
        self._started = monotonic()
        done: float = self._said.get("progress", 0.0)
        nothing = {"photos_done": None, "photos": None}
        self._say(phase=phase, progress=max(done, self._shares.get(phase, (done, done))[0]), **nothing)

    def looked(self, done: int, photos: int) -> None:
        """Report how many of the new photos have gone through the network."""
        self._said |= {"photos_done": done, "photos": photos}
        self.progress(done / photos, (monotonic() - self._started) * (photos - done) / done)

    def skipped(self, photo: Photo, error: CatdogError) -> None:
        self._log.skipped(photo, error)

    def backbone(self, choice: str) -> None:
        self._log.backbone(choice)
        self._say(backbone=choice)

    def phase(self, name: Phase) -> None:
        if name == "publishing":
            failpoint("job.trained")
        self.begin(name)

    def downloaded(self, share: float, seconds_left: float | None) -> None:
        """The downloaded share of the backbone, 0-1; the download itself writes to the log."""
        if self._said["phase"] != "downloading":
            self.begin("downloading")
        self._report(share, seconds_left)

    def progress(self, share: float, seconds_left: float | None) -> None:
        self._log.progress(share, seconds_left)
        self._report(share, seconds_left)

    def _report(self, share: float, seconds_left: float | None) -> None:
        if monotonic() - self._reported < REPORT_SECONDS:
            return
        done: float = self._said["progress"]  # progress doesn't go back if a phase is repeated
        first, last = self._shares.get(self._said["phase"], (done, done))
        self._say(progress=max(done, round(first + share * (last - first), 4)), seconds_left=seconds_left)

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        self._log.epoch(row, epochs)
        self._lease.report("epoch", {**row, "epochs": epochs})
        self._say(epoch=row["epoch"], epochs=epochs, metrics=dict(row))

    def _say(self, **news: Any) -> None:
        self._reported = monotonic()
        self._said = self._said | {"seconds_left": None} | news
        self._lease.report("progress", self._said, progress=self._said)
