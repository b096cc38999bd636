"""The worker of batches, which the service starts: `python -m app.batches --name NAME`."""

import os
import signal
import sys
from argparse import ArgumentParser

from catdog.jobs.interruptions import end_with_stdin


def main() -> None:
    """Run the queued batches, on idle cores, until there are no more or stdin ends."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # until the worker handles it, after these imports
    parser = ArgumentParser("python -m app.batches", description="Run the queued batches; the service starts this.")
    parser.add_argument("--name", required=True, help="name of the worker")
    name = parser.parse_args().name
    end_with_stdin()
    from catdog.system.resources import run_when_idle

    run_when_idle()  # before anything starts threads of its own: they inherit it
    from app.serving import engine_selection, os_tuning

    os_tuning.limit_arenas()
    os_tuning.keep_memory()
    from app.batches.runner import Runner
    from app.settings import read_settings
    from catdog.database import Database
    from catdog.datasets.datasets import Datasets
    from catdog.jobs.job import Kind
    from catdog.jobs.queue import Jobs
    from catdog.jobs.worker import Worker

    settings = engine_selection.settled(read_settings())
    database = Database.of(settings.data_dir, settings.database_url)
    runner = Runner(settings, Datasets(database, settings.data_dir, settings.pictures))
    if Worker(Jobs(database, Kind.BATCH), runner.run, settings.data_dir, name).work(until_idle=True):
        os.execv(sys.executable, [sys.executable, "-m", "app.batches", *sys.argv[1:]])  # noqa: S606  # itself
    os._exit(0)  # without waiting for threads that decode


if __name__ == "__main__":
    main()
