"""Runs one batch in its worker: classifies the photos and writes the result."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final

from app.batches import files
from app.classification import continuing
from app.classification.journal import Journal, JournalInUse, JournalOfOthers
from app.classification.photos import Archive, Photo
from app.classification.results import Table, write
from app.serving.loaded_model import LoadedModel
from app.settings import Settings
from catdog.datasets.datasets import Datasets
from catdog.errors import ArchiveError, DatabaseUnavailable, StoreError, StoreUnavailable
from catdog.jobs.errors import LeaseLost
from catdog.jobs.interruptions import Interrupted, Interruptions, Reason
from catdog.jobs.job import Job, Status
from catdog.jobs.queue import LEASE_SECONDS, Lease
from catdog.system.failpoints import failpoint
from catdog.system.repeating import patiently

REPORT_SECONDS: Final = 1.0  # between two reports of progress
LOOK_SECONDS: Final = 0.1  # between two attempts to open a journal
OF_OTHERS: Final = (LeaseLost, DatabaseUnavailable, StoreUnavailable)  # errors after which a worker continues the batch


class Runner:
    """Runs batches; a batch whose worker was killed continues from its journal."""

    def __init__(self, settings: Settings, datasets: Datasets) -> None:
        self._settings = settings
        self._datasets = datasets

    def run(self, lease: Lease, interruptions: Interruptions) -> None:
        """Run the batch to its end; an exception means that it failed."""
        folder = files.folder_of(self._settings.data_dir, lease.job.id)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run(lease, interruptions, folder)
        except BaseException as error:
            is_interrupted = isinstance(error, Interrupted) and error.reason is not Reason.CANCELLED
            if not is_interrupted and not isinstance(error, OF_OTHERS):  # no worker continues it
                files.remove_inputs(folder)
            raise

    def _run(self, lease: Lease, interruptions: Interruptions, folder: Path) -> None:
        with _opened(folder / files.JOURNAL) as journal:
            model = self._model(journal)
            photos, total = self._photos(lease.job, folder)
            self._fill(lease, journal, model, photos, total)
            table = Table(model.manifest.classes, model.manifest.version, threshold=0.0)
            for ending in files.ENDINGS:
                write(files.result(folder, ending), journal.rows(), table)
            rows, errors = journal.count()
        failpoint("batch.written")
        with interruptions.shielded():
            progress = {"photos": rows, "done": rows, "errors": errors}
            problems = f", {errors:,} of them with an error" if errors else ""
            lease.end(Status.SUCCEEDED, f"{rows:,} photos{problems}", version=table.version, progress=progress)
        files.remove_inputs(folder)

    def _model(self, journal: Journal) -> LoadedModel:
        """The version that began the batch. If it or the settings changed, the batch starts from the beginning."""
        try:
            return continuing.begun(journal, self._settings)
        except (StoreError, JournalOfOthers):
            if journal.facts() is None:
                raise
            journal.clear()
            return continuing.begun(journal, self._settings)

    def _photos(self, job: Job, folder: Path) -> tuple[Iterable[Photo], int]:
        """The photos of a batch, and their number; DatasetNotFound, ArchiveError."""
        if dataset := job.request.get("dataset"):
            pictures = {f"{one.label}/{one.sha256}/{one.name}": one.sha256 for one in self._datasets.pictures(dataset)}
            return (self._photo(path, sha256) for path, sha256 in pictures.items()), len(pictures)
        if not (folder / files.ARCHIVE).exists():
            raise ArchiveError("it is in the data folder of another machine; machines that run batches must share that")
        archive = Archive(folder / files.ARCHIVE, self._settings.max_upload_bytes)
        return archive.photos(), len(archive.places)

    def _photo(self, path: str, sha256: str) -> Photo:
        file = self._datasets.file(sha256)
        return Photo(path, partial(patiently, file.read_bytes), is_remote=self._datasets.place.is_remote)

    def _fill(self, lease: Lease, journal: Journal, model: LoadedModel, photos: Iterable[Photo], total: int) -> None:
        """Classify the photos that remain, and report the progress."""
        before, errors = journal.count()
        began = reported = monotonic()
        progress: dict[str, float] = {"photos": total, "done": before, "errors": errors}
        if before > lease.job.progress.get("done", 0):  # the last worker died after rows that it hadn't reported yet
            lease.advance(progress)
        else:
            lease.report("progress", progress, progress=progress)
        for more, row in enumerate(continuing.fill(journal, photos, model, self._settings), 1):
            errors += row.error is not None
            if monotonic() - reported > REPORT_SECONDS:
                reported = monotonic()
                left = (reported - began) / more * (total - before - more)
                journal.commit()  # first: only then a next worker won't repeat it
                progress = {"photos": total, "done": before + more, "errors": errors, "seconds_left": round(left, 1)}
                lease.advance(progress)


def _opened(path: Path) -> Journal:
    """The journal, once a worker that has lost this batch has closed it; JournalInUse if it doesn't."""
    until = monotonic() + LEASE_SECONDS
    while True:
        try:
            return Journal(path)
        except JournalInUse:
            if monotonic() > until:
                raise
        Event().wait(LOOK_SECONDS)
