"""Deletes expired and abandoned files at start-up and every hour."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from time import time

import anyio
from anyio import to_thread

from app.retraining.database import ServiceDatabase
from app.serving.prediction_log import PredictionLog
from app.settings import Settings
from catdog.jobs.job import FOLDER
from catdog.versions.store import Store

logger = logging.getLogger(__name__)

FIRST_SECONDS = 1.0  # after the start, whose first answer is more urgent
EVERY_SECONDS = 3600.0
DAY_SECONDS = 86_400.0


class Upkeep:
    """Of everything below the data folder, and of the model store."""

    def __init__(self, settings: Settings, records: ServiceDatabase, uploads: PredictionLog) -> None:
        self._settings = settings
        self._records = records
        self._uploads = uploads

    async def run(self) -> None:
        """Every now and then, until cancelled; the end of the service doesn't wait for it."""
        await anyio.sleep(FIRST_SECONDS)
        while True:
            await to_thread.run_sync(self.once, abandon_on_cancel=True)
            await anyio.sleep(EVERY_SECONDS)

    def once(self) -> None:
        """Each step is by itself: one that fails is logged, and tried again the next time."""
        steps: dict[str, Callable[[], object]] = {
            "predicted photos": self._uploads.clean,
            "pictures without a label": lambda: self._records.datasets.sweep(),
            "jobs": self._prune_jobs,
            "drafts of versions": Store(self._settings.models_dir).sweep,
        }
        for what, step in steps.items():
            try:
                step()
            except Exception as error:  # whatever it is, predictions go on
                logger.warning("%s can't be cleared up: %s", what, getattr(error, "reason", error))

    def _prune_jobs(self) -> None:
        """Forget old jobs; remove old logs that no job has, and what ended jobs would have gone on from."""
        days, jobs = self._settings.keep_jobs_days, self._records.jobs
        folder = self._settings.data_dir / FOLDER
        folders, logs = list(folder.glob("*/")), list(folder.glob("*.log"))  # before the jobs: theirs are there by then
        jobs.prune(days)
        open_, known = jobs.open_ids(), jobs.ids()
        for left in folders:
            if left.name not in open_:
                shutil.rmtree(left, ignore_errors=True)
        for log in logs:
            if log.stem not in known and _days_old(log) > days:
                log.unlink(missing_ok=True)


def _days_old(file: Path) -> float:
    return (time() - file.stat().st_mtime) / DAY_SECONDS
