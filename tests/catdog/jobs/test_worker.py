"""The worker on a real queue, with jobs that only wait or fail."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from threading import Event
from time import time

import pytest
from sqlalchemy import Connection

from catdog import database as database_module
from catdog import postgresql
from catdog.database import FILE, Database
from catdog.errors import DatabaseUnavailable, DatasetError
from catdog.jobs import queue as jobs_module
from catdog.jobs import worker as module
from catdog.jobs.interruptions import Interrupted, Interruptions, Reason
from catdog.jobs.job import Job, Status, log_file
from catdog.jobs.queue import ATTEMPTS, Jobs, Lease
from catdog.jobs.worker import Run, Worker
from tests.databases import frozen
from tests.waiting import PATIENCE_SECONDS, until

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    before = [signal.getsignal(number) for number in HANDLED]
    yield
    for number, handler in zip(HANDLED, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


def work(jobs: Jobs, run: Run, folder: Path) -> bool:
    """Run the worker; returns whether it needs a new process."""
    return Worker(jobs, run, folder, "one").work(until_idle=True)


def succeed(lease: Lease, interruptions: Interruptions) -> None:
    print("all is well")  # noqa: T201  # as a trainer does
    lease.end(Status.SUCCEEDED, "promoted")


def wait_for_ever(lease: Lease, interruptions: Interruptions) -> None:
    Event().wait(PATIENCE_SECONDS)


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` on a thread during the block; its exception is raised at the end."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(act)
        yield
        future.result(PATIENCE_SECONDS)


def is_running(jobs: Jobs) -> bool:
    return bool(jobs.running())


def test_a_worker_runs_what_waits_and_ends(jobs: Jobs, tmp_path: Path) -> None:
    submitted = [jobs.submit({"n": n}) for n in range(3)]

    work(jobs, succeed, tmp_path)

    assert {jobs.get(job.id).status for job in submitted} == {Status.SUCCEEDED}
    assert [log_file(tmp_path, job.id).read_text() for job in submitted] == ["all is well\n"] * 3


def test_a_job_that_fails_says_why_and_the_next_one_runs(
    jobs: Jobs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second, third, fourth = (jobs.submit({"n": n}) for n in range(4))

    def run(lease: Lease, interruptions: Interruptions) -> None:
        if lease.job.id == first.id:
            raise DatasetError("there is no photo of cat; add some")
        if lease.job.id == second.id:
            raise KeyError("aunt-mary.jpg")
        if lease.job.id == third.id:
            raise OSError(28, "No space left on device", "/home/someone/aunt-mary.jpg")
        succeed(lease, interruptions)

    work(jobs, run, tmp_path)

    assert jobs.get(first.id).reason == "there is no photo of cat; add some"
    assert jobs.get(second.id).reason == "unexpected error (KeyError); the job's log has the traceback"
    assert jobs.get(third.id).reason == "No space left on device; the job's log names the file"
    assert "Traceback" in log_file(tmp_path, second.id).read_text()
    assert "Traceback" not in capfd.readouterr().err
    assert jobs.get(fourth.id).status is Status.SUCCEEDED


def test_what_a_library_prints_by_itself_is_in_the_log_of_the_job(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.submit({})

    def run(lease: Lease, interruptions: Interruptions) -> None:
        os.write(2, b"from a library\n")
        succeed(lease, interruptions)

    work(jobs, run, tmp_path)

    assert "from a library\n" in log_file(tmp_path, job.id).read_text()


def test_a_cancelled_job_ends_wherever_it_is(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.submit({})

    def cancel() -> None:
        until(lambda: is_running(jobs))
        jobs.cancel(job.id)

    with meanwhile(cancel):
        assert work(jobs, wait_for_ever, tmp_path), "what was interrupted may have left threads behind"

    assert (jobs.get(job.id).status, jobs.get(job.id).reason) == (Status.CANCELLED, "cancelled while it ran")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_puts_its_job_back(jobs: Jobs, tmp_path: Path, number: signal.Signals) -> None:
    job = jobs.submit({})

    def stop() -> None:
        until(lambda: is_running(jobs))
        os.kill(os.getpid(), number)

    with meanwhile(stop):
        assert not Worker(jobs, wait_for_ever, tmp_path).work()

    assert (jobs.get(job.id).status, jobs.get(job.id).attempts) == (Status.QUEUED, 0)


def test_a_stop_that_comes_just_when_a_job_has_ended_leaves_no_heart_behind(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread would end the whole process some seconds later."""
    job = jobs.submit({})
    monkeypatch.setattr(module.Heart, "__exit__", lambda heart, *_: os.kill(os.getpid(), signal.SIGTERM))

    Worker(jobs, succeed, tmp_path).work()

    assert jobs.get(job.id).status == Status.SUCCEEDED
    assert "heart" not in {thread.name for thread in threading.enumerate()}


def test_a_job_that_comes_just_when_its_worker_is_stopped_goes_back(database: Database, tmp_path: Path) -> None:
    class StoppedJustThen(Jobs):
        def claim(self, worker: str) -> Lease | None:
            lease = super().claim(worker)
            os.kill(os.getpid(), signal.SIGTERM)
            return lease

    jobs = StoppedJustThen(database)
    job = jobs.submit({})

    Worker(jobs, wait_for_ever, tmp_path).work()

    assert (jobs.get(job.id).status, jobs.get(job.id).attempts) == (Status.QUEUED, 0)


def test_a_worker_that_lost_its_job_lets_go_of_it(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.submit({})
    runs = []

    def run(lease: Lease, interruptions: Interruptions) -> None:
        runs.append(lease.job.attempts)
        if len(runs) == ATTEMPTS:
            succeed(lease, interruptions)
        else:
            jobs.give_up("one", "it seemed dead")
            wait_for_ever(lease, interruptions)

    assert work(jobs, run, tmp_path)
    assert not work(jobs, run, tmp_path)

    assert runs == [1, 2]
    assert jobs.get(job.id).status is Status.SUCCEEDED


def test_a_lease_is_held_for_as_long_as_the_job_runs(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catdog.jobs.queue.LEASE_SECONDS", 0.5)
    job = jobs.submit({})

    def run(lease: Lease, interruptions: Interruptions) -> None:
        ended = lease.job.started_at + 2 if lease.job.started_at else 0
        until(lambda: time() > ended)
        assert not jobs.is_waiting()
        succeed(lease, interruptions)

    work(jobs, run, tmp_path)

    assert (jobs.get(job.id).status, jobs.get(job.id).attempts) == (Status.SUCCEEDED, 1)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """A SQLite database that another process writes to, for longer than anyone waits."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


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


@pytest.fixture
def away(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], AbstractContextManager[None]]:
    """Make the database unavailable for a while: SQLite locked by another process, PostgreSQL's server frozen."""
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(database_module, "SPARED_SECONDS", 0.0)
    monkeypatch.setattr(postgresql, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(jobs_module, "RETRY_SECONDS", 0.01)
    if database_url.startswith("sqlite"):
        return lambda: locked(tmp_path / FILE)
    return lambda: frozen(database_url)


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


def test_a_job_that_does_not_end_when_it_is_asked_to_is_ended_with_its_worker(
    database_url: str, jobs: Jobs, tmp_path: Path
) -> None:
    """In a separate process, because the process ends."""
    job = jobs.submit({})
    script = f"""
import signal
from pathlib import Path
from catdog.database import Database
from catdog.jobs.queue import Jobs
from catdog.jobs import worker
from catdog.jobs.interruptions import Interrupted, Reason

worker.RENEW_SECONDS = 0.01
worker.GRACE_SECONDS[Reason.CANCELLED] = 0.1

def deaf(lease, interruptions):
    while True:
        try:
            signal.pause()
        except Interrupted:
            pass

worker.Worker(Jobs(Database({database_url!r})), deaf, Path({str(tmp_path)!r})).work()
"""
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        until(lambda: is_running(jobs))
        jobs.cancel(job.id)
        assert process.wait(PATIENCE_SECONDS) == 0

    assert jobs.get(job.id).status is Status.CANCELLED


class StoppedWhenAsked(Jobs):
    """The worker gets a stop signal exactly when it reads a job's final status."""

    def get(self, id: str) -> Job:
        os.kill(os.getpid(), signal.SIGTERM)
        return super().get(id)


def test_a_job_that_ends_while_the_worker_is_stopped_has_ended(
    database: Database, jobs: Jobs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = jobs.submit({})

    work(StoppedWhenAsked(database), succeed, tmp_path)

    assert told(capfd) == [f"job {job.id} begins, attempt 1", f"job {job.id}: succeeded", "the worker ends"]


def test_a_stop_behind_the_end_of_a_job_takes_nothing_back(
    jobs: Jobs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = jobs.submit({})

    def run(lease: Lease, interruptions: Interruptions) -> None:
        succeed(lease, interruptions)
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for_ever(lease, interruptions)

    work(jobs, run, tmp_path)

    assert told(capfd) == [f"job {job.id} begins, attempt 1", f"job {job.id}: succeeded", "the worker ends"]


def told(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line.removeprefix("catdog worker: ") for line in capfd.readouterr().err.splitlines()]


def test_a_step_that_counts_is_taken_whole() -> None:
    interruptions = Interruptions()
    interruptions.install()
    taken = []

    def take() -> None:
        with interruptions.shielded():
            interruptions.ask(Reason.CANCELLED)
            taken.append("whole")

    with pytest.raises(Interrupted) as caught:
        take()

    assert taken == ["whole"]
    assert caught.value.reason is Reason.CANCELLED


def test_what_is_asked_is_raised_once() -> None:
    interruptions = Interruptions()
    interruptions.install()
    with pytest.raises(Interrupted):
        interruptions.ask(Reason.CANCELLED)

    os.kill(os.getpid(), signal.SIGTERM)
    interruptions.check()

    assert interruptions.reason is Reason.CANCELLED


LAUNCHING = """
import os, signal, sys
from pathlib import Path
from app.retraining.worker_process import TRAINER, LocalProcess
from app.settings import Settings

runner = LocalProcess(Settings(data_dir=Path(sys.argv[1]), models_dir=Path(sys.argv[1])), TRAINER)
print(runner._processes[runner.launch()].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_ends_with_the_service_that_started_it_however_that_ends(tmp_path: Path) -> None:
    launched = subprocess.run([sys.executable, "-c", LAUNCHING, tmp_path], capture_output=True, text=True, check=False)
    assert launched.returncode == -signal.SIGKILL
    worker = launched.stdout.strip()

    def state() -> str:
        return subprocess.run(["ps", "-o", "stat=", "-p", worker], capture_output=True, text=True, check=False).stdout

    until(lambda: state()[:1] in ("", "Z"))
