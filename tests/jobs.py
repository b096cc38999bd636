"""A place where jobs run, with its own store, data sets and queue."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.datasets.picture_files import New
from catdog.jobs import worker
from catdog.jobs.job import Job
from catdog.jobs.queue import Jobs
from catdog.jobs.worker import Worker
from catdog.versions.store import Store
from tests.observers import Recorder
from training.data import service_datasets
from training.fitting.config import Config
from training.publishing.pipeline import Request, train
from training.worker import tracing
from training.worker.job_observer import JobObserver
from training.worker.job_runner import Runner

WIDTH = 1 / 32


class Place:
    """Everything is below one folder, except the database."""

    def __init__(self, folder: Path, database: Database, pictures: str | None = None) -> None:
        self.data_dir = folder / "data"
        self.store = Store(folder / "models")
        self.datasets = Datasets(database, self.data_dir, pictures)
        self.jobs = Jobs(database)

    def learn(self, photos: Path) -> None:
        """Publish a further version of the tiny network, trained on a folder; the first one is promoted."""
        config = Config(backbone="random", width=WIDTH)
        train(Request(config, photos, command="", promote="never"), self.store, self.data_dir, Recorder())

    def collect(self, folder: Path, dataset: str, split: str | None = None, label: str | None = None) -> None:
        """Import a folder into a data set: class folders, or pictures of one label."""
        if label is None:
            service_datasets.import_folder(folder, self.datasets, dataset)
            return
        with self.datasets.incoming() as incoming:
            new = [
                New(Path(shutil.copyfile(file, incoming / str(number))), file.name, label, split)
                for number, file in enumerate(sorted(folder.iterdir()))
            ]
            self.datasets.add(dataset, new, "import")

    def run(self, keep_versions: int = 5, on_phase: Callable[[str], None] | None = None, **request: Any) -> Job:
        """Submit a job and work until none is queued; `on_phase` is called when a phase begins."""
        job = self.jobs.submit(request)
        with pytest.MonkeyPatch.context() as patch:
            if on_phase is not None:
                begin = JobObserver.begin
                patch.setattr(JobObserver, "begin", lambda self, phase: (on_phase(phase), begin(self, phase))[1])
            self.work(keep_versions)
        return self.jobs.get(job.id)

    def work(self, keep_versions: int = 5) -> None:
        """Run the queued jobs, like a worker."""
        runner = Runner(self.store, self.datasets, self.data_dir, keep_versions)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker, "IDLE_SECONDS", 0.0)
            Worker(self.jobs, runner.run, self.data_dir, after=tracing.tell).work(until_idle=True)
