"""The worker on a real queue, with jobs that only wait or fail."""

import os
import subprocess
import sys
from pathlib import Path
from time import time

import pytest

from catdog.errors import DatasetError
from catdog.jobs import worker as module
from catdog.jobs.interruptions import Interruptions
from catdog.jobs.job import Status, log_file
from catdog.jobs.queue import ATTEMPTS, Jobs, Lease
from tests.catdog.jobs.working import is_running, meanwhile, succeed, wait_for_ever, work
from tests.waiting import PATIENCE_SECONDS, until


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


def test_a_renewal_just_behind_the_end_of_a_job_does_not_restart_its_worker(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.submit({})
    beat = module.Heart._beat
    beats = []

    def counted(heart: module.Heart) -> None:
        beat(heart)
        beats.append(heart)

    def run(lease: Lease, interruptions: Interruptions) -> None:
        succeed(lease, interruptions)
        before = len(beats)
        until(lambda: len(beats) > before + 1)

    monkeypatch.setattr(module.Heart, "_beat", counted)

    assert not work(jobs, run, tmp_path)
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
