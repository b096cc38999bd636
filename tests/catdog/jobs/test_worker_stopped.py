"""A worker that is stopped by a signal keeps what has ended, and puts its job back otherwise."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from catdog.database import Database
from catdog.jobs import worker as module
from catdog.jobs.interruptions import Interrupted, Interruptions, Reason
from catdog.jobs.job import Job, Status
from catdog.jobs.queue import Jobs, Lease
from catdog.jobs.worker import Worker
from tests.catdog.jobs.working import is_running, meanwhile, succeed, wait_for_ever, work
from tests.waiting import until


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
    launched = subprocess.run(
        [sys.executable, "-c", LAUNCHING, tmp_path], capture_output=True, encoding="utf-8", check=False
    )
    assert launched.returncode == -signal.SIGKILL
    worker = launched.stdout.strip()

    def state() -> str:
        return subprocess.run(
            ["ps", "-o", "stat=", "-p", worker], capture_output=True, encoding="utf-8", check=False
        ).stdout

    until(lambda: state()[:1] in ("", "Z"))
