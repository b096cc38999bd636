"""Opens the database of labels and jobs on first use, because its libraries import slowly.

SQLAlchemy is the slowest import, and predictions don't need it.
"""

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from app.settings import Settings, SettingsError
from catdog.errors import DatabaseUnavailable
from catdog.jobs.job import Kind

if TYPE_CHECKING:
    from catdog.access.keys import Keys
    from catdog.audit.log import AuditLog
    from catdog.database import Database
    from catdog.datasets.datasets import Datasets
    from catdog.jobs.queue import Jobs
    from catdog.webhooks.deliveries import Deliveries


class ServiceDatabase:
    """The database of the service. Thread-safe. SettingsError if its URL can't be used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None
        self._opening = Lock()
        if settings.database_url:  # check it now; the default can't be wrong
            self._open()

    @property
    def data_dir(self) -> Path:
        return self._settings.data_dir

    @property
    def database(self) -> "Database":
        return self._open()

    @property
    def datasets(self) -> "Datasets":
        from catdog.datasets.datasets import Datasets

        return Datasets(self._open(), self._settings.data_dir, self._settings.pictures)

    @property
    def jobs(self) -> "Jobs":
        from catdog.jobs.queue import Jobs

        return Jobs(self._open())

    @property
    def batches(self) -> "Jobs":
        from catdog.jobs.queue import Jobs

        return Jobs(self._open(), Kind.BATCH)

    @property
    def comparisons(self) -> "Jobs":
        from catdog.jobs.queue import Jobs

        return Jobs(self._open(), Kind.COMPARISON)

    @property
    def deliveries(self) -> "Deliveries":
        from catdog.webhooks.deliveries import Deliveries

        return Deliveries(self._open(), self._settings.webhook_hours)

    @property
    def keys(self) -> "Keys":
        from catdog.access.keys import Keys

        return Keys(self._open())

    @property
    def audit(self) -> "AuditLog":
        from catdog.audit.log import AuditLog

        return AuditLog(self._open())

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def _open(self) -> "Database":
        from catdog.database import Database

        with self._opening:
            if self._database is None:
                try:
                    self._database = Database.of(self._settings.data_dir, self._settings.database_url)
                except DatabaseUnavailable as error:
                    raise SettingsError(error.reason) from error
            return self._database
