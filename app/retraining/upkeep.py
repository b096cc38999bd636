"""Deletes expired and abandoned files at start-up and every hour."""

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from time import time

import anyio
from anyio import to_thread

from app.retraining.database import ServiceDatabase
from app.retraining.thumbnails import Thumbnails
from app.serving.prediction_log import PredictionLog
from app.settings import Settings
from catdog.jobs.job import FOLDER
from catdog.versions.store import Store

logger = logging.getLogger(__name__)

FIRST_SECONDS = 1.0  # after the start: the first answer is more urgent
EVERY_SECONDS = 3600.0
DAY_SECONDS = 86_400.0


class Upkeep:
    """Cleans up the data folder and the model store; `steps` are more to do, by what they clean up."""

    def __init__(
        self,
        settings: Settings,
        records: ServiceDatabase,
        uploads: PredictionLog,
        steps: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self._steps = steps or {}
        self._settings = settings
        self._records = records
        self._uploads = uploads

    async def run(self) -> None:
        """Clean up every EVERY_SECONDS, until cancelled; the shutdown doesn't wait for it."""
        await anyio.sleep(FIRST_SECONDS)
        while True:
            await to_thread.run_sync(self.once, abandon_on_cancel=True)
            await anyio.sleep(EVERY_SECONDS)

    def once(self) -> None:
        """Clean up once. The steps are independent: one that fails is logged, and tried again next time."""
        steps: dict[str, Callable[[], object]] = {
            "predicted photos": self._uploads.clean,
            "changes to pictures": lambda: self._records.datasets.changes.forget(self._settings.keep_deleted_days),
            "pictures without a label": lambda: self._records.datasets.sweep(),
            "thumbnails": lambda: Thumbnails(self._settings.data_dir).clean(self._records.datasets.labelled),
            "jobs": self._prune_jobs,
            "drafts of versions": Store(self._settings.models).sweep,
            **self._steps,
        }
        for what, step in steps.items():
            try:
                step()
            except Exception as error:  # any error: predictions must go on
                logger.warning("%s can't be cleaned up: %s", what, getattr(error, "reason", error))

    def _prune_jobs(self) -> None:
        """Delete old jobs, old logs that belong to no job, and the checkpoints of ended jobs."""
        days, jobs = self._settings.keep_jobs_days, self._records.jobs
        folder = self._settings.data_dir / FOLDER
        folders, logs = list(folder.glob("*/")), list(folder.glob("*.log"))  # before `ids`, so that none is newer
        jobs.prune(days)
        open_, known = jobs.open_ids(), jobs.ids() | self._records.batches.ids() | self._records.comparisons.ids()
        for left in folders:
            if left.name not in open_:
                shutil.rmtree(left, ignore_errors=True)
        for log in logs:
            if log.stem not in known and _days_old(log) > days:
                log.unlink(missing_ok=True)


def _days_old(file: Path) -> float:
    return (time() - file.stat().st_mtime) / DAY_SECONDS
