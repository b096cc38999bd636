"""A database that is unavailable for a while costs a running job nothing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from catdog.database import Database
from catdog.errors import DatabaseUnavailable
from catdog.jobs.interruptions import Interruptions
from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs, Lease
from tests.catdog.jobs.working import succeed, work
from tests.waiting import until


class Refusing(Database):
    """Records the threads on which writing failed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.refused: set[str] = set()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        try:
            with super().writing() as connection:
                yield connection
        except DatabaseUnavailable:
            self.refused.add(threading.current_thread().name)
            raise


@pytest.mark.whole
def test_a_database_that_is_away_for_a_while_costs_a_job_no_attempt(
    database_url: str, away: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
    database = Refusing(database_url)
    jobs = Jobs(database)
    job = jobs.submit({})
    published = []

    def while_away(name: str, act: Callable[[], None]) -> None:
        acting = threading.Thread(target=act, name=name)
        database.refused.clear()
        with away():
            acting.start()
            until(lambda: {name, "heart"} <= database.refused)
        acting.join()

    def run(lease: Lease, interruptions: Interruptions) -> None:
        def publish() -> None:
            with lease.held():
                published.append(lease.job.attempts)

        while_away("reporting", lambda: lease.report("progress", {}, progress={"progress": 0.5}))
        while_away("publishing", publish)
        while_away("ending", lambda: lease.end(Status.SUCCEEDED, "promoted"))

    work(jobs, run, tmp_path)

    done = jobs.get(job.id)
    assert (done.status, done.attempts, done.progress, published) == (Status.SUCCEEDED, 1, {"progress": 0.5}, [1])
    database.close()


def test_a_job_whose_database_is_away_for_too_long_goes_back_as_if_it_had_never_run(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.submit({})
    runs = []

    def run(lease: Lease, interruptions: Interruptions) -> None:
        runs.append(lease.job.attempts)
        if len(runs) < 5:
            raise DatabaseUnavailable("the server closed the connection")
        succeed(lease, interruptions)

    work(jobs, run, tmp_path)

    assert runs == [1] * 5
    assert jobs.get(job.id).status is Status.SUCCEEDED
