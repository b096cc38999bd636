"""Accepts batches of photos to classify, and finds their results, off the event loop."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from anyio import CancelScope, CapacityLimiter, to_thread

from app.batches import files
from app.classification.photos import Archive
from app.retraining.database import ServiceDatabase
from app.retraining.jobs import JobService
from app.retraining.worker_process import LocalProcess, Program
from app.settings import Settings
from app.shutdown import Shutdown
from catdog.errors import ArchiveError
from catdog.jobs.errors import NoResult
from catdog.jobs.job import Job, Status
from catdog.system import durable

WORKER: Final = Program(("-m", "app.batches"), log="batches.log", check=lambda: None)


class BatchService:
    """The batches of the service. A process of its own classifies them, at the lowest priority, one after another."""

    def __init__(self, settings: Settings, records: ServiceDatabase, shutdown: Shutdown) -> None:
        self._settings = settings
        self._records = records
        self._threads = CapacityLimiter(2)
        self.jobs = JobService(lambda: records.batches, LocalProcess(settings, WORKER), shutdown)

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[Path]:
        """A folder for an upload, on the disk of the batches; removed at the end."""
        scratch = durable.scratch(self._settings.data_dir / files.FOLDER, files.INCOMING)
        folder = await to_thread.run_sync(scratch.__enter__, limiter=self._threads)
        try:
            yield folder
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(scratch.__exit__, None, None, None, limiter=self._threads)

    async def accept_archive(self, zipped: Path) -> Job:
        """Queue the photos of a ZIP in `incoming`; ArchiveError if it is refused, QueueFull."""
        batch = uuid4().hex
        folder = files.folder_of(self._settings.data_dir, batch)
        count = await to_thread.run_sync(self._place, zipped, folder, limiter=self._threads)
        try:
            return await self.jobs.accept({"photos": count}, id=batch)
        except BaseException:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._give_up, batch, folder, limiter=self._threads)
            raise

    async def accept_dataset(self, dataset: str) -> Job:
        """Queue the pictures of a data set; DatasetNotFound, QueueFull."""
        await to_thread.run_sync(lambda: self._records.datasets.counts(dataset), limiter=self._threads)
        return await self.jobs.accept({"dataset": dataset})

    def result(self, batch: Job, ending: str) -> Path:
        """The file of a batch's result; NoResult unless it has succeeded."""
        file = files.result(files.folder_of(self._settings.data_dir, batch.id), ending)
        if batch.status is not Status.SUCCEEDED or not file.exists():
            raise NoResult(batch.id, batch.status, batch.reason)
        return file

    def clean(self) -> None:
        """Delete old batches, and files that no batch needs; blocks."""
        batches = self._records.batches
        batches.prune(self._settings.keep_jobs_days)
        known = batches.ids()  # before `open_ids`, so that one queued in between isn't taken for an ended one
        files.sweep(self._settings.data_dir, known, batches.open_ids())

    def _place(self, zipped: Path, folder: Path) -> int:
        """The number of photos in a ZIP, which is moved into its folder."""
        archive = Archive(zipped)
        if not archive.places:
            raise ArchiveError("it holds no photo; pack photos whose names end in .jpg, .png and so on")
        files.place(zipped, folder)
        return len(archive.places)

    def _give_up(self, batch: str, folder: Path) -> None:
        """Remove the folder of a batch that wasn't queued."""
        if batch not in self._records.batches.ids():
            shutil.rmtree(folder, ignore_errors=True)
