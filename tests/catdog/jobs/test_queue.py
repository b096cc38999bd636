from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from catdog.database import Database
from catdog.jobs import queue as module
from catdog.jobs.errors import JobEnded, JobNotFound, KeyReused, LeaseLost, QueueFull
from catdog.jobs.job import Job, Kind, Status
from catdog.jobs.queue import ATTEMPTS, WAITING, Jobs, Lease

REQUEST = {"dataset": "pets", "strategy": "head"}


def claimed(jobs: Jobs, worker: str = "one") -> Lease:
    lease = jobs.claim(worker)
    assert lease is not None
    return lease


@pytest.fixture
def no_time_to_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that expire at once."""
    monkeypatch.setattr(module, "LEASE_SECONDS", -1.0)


def statuses(jobs: Jobs, job: Job) -> list[str]:
    return [event.data["status"] for event in jobs.events(job.id) if event.kind == "status"]


def test_a_job_waits_runs_and_succeeds(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST)
    assert (job.status, job.request) == (Status.QUEUED, REQUEST)
    assert jobs.is_waiting()

    lease = claimed(jobs)
    assert jobs.get(job.id).status is Status.RUNNING
    assert not jobs.is_waiting()
    assert [running.id for running in jobs.running()] == [job.id]

    lease.report("progress", {"progress": 0.5}, progress={"progress": 0.5})
    lease.end(Status.SUCCEEDED, "promoted", version=3)

    ended = jobs.get(job.id)
    assert (ended.status, ended.reason, ended.version) == (Status.SUCCEEDED, "promoted", 3)
    assert ended.progress == {"progress": 0.5}
    assert ended.submitted_at <= (ended.started_at or 0) <= (ended.ended_at or 0)
    assert statuses(jobs, job) == ["queued", "running", "succeeded"]


def test_events_can_be_read_on_from_any_of_them(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST)
    lease = claimed(jobs)
    for number in range(5):
        lease.report("progress", {"progress": number / 5})

    events = jobs.events(job.id)
    assert [event.id for event in events] == sorted(event.id for event in events)
    for place, event in enumerate(events):
        assert jobs.events(job.id, after=event.id) == events[place + 1 :]


def test_jobs_run_one_at_a_time_in_their_order(jobs: Jobs) -> None:
    first, second = jobs.submit(REQUEST), jobs.submit(REQUEST)

    lease = claimed(jobs)
    assert lease.job.id == first.id
    assert jobs.claim("two") is None

    lease.end(Status.FAILED, "no photos")
    assert claimed(jobs, "two").job.id == second.id


def test_a_queue_of_several_kinds_runs_the_jobs_of_all_and_a_queue_of_one_kind_only_its_own(
    jobs: Jobs, open_database: Callable[[], Database]
) -> None:
    comparisons = Jobs(open_database(), Kind.COMPARISON)
    both = Jobs(open_database(), Kind.TRAINING, Kind.COMPARISON)
    training, comparison = jobs.submit(REQUEST), comparisons.submit({"versions": [1, 2]})

    assert claimed(comparisons).job.id == comparison.id, "beside the training"
    assert both.claim("two") is None, "one of both kinds at a time"
    comparisons.cancel(comparison.id)
    comparisons.give_up("one", "it ended")
    assert (claimed(both, "two").job.id, both.get(comparison.id).kind) == (training.id, Kind.COMPARISON)


def test_of_many_workers_only_one_gets_a_job(jobs: Jobs, open_database: Callable[[], Database]) -> None:
    jobs.submit(REQUEST)
    queues = [Jobs(open_database()) for _ in range(4)]

    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda number: queues[number % 4].claim(f"worker {number}"), range(8)))

    assert sum(lease is not None for lease in leases) == 1


def test_too_many_waiting_jobs_are_refused(jobs: Jobs) -> None:
    jobs.submit(REQUEST)
    claimed(jobs)
    for _ in range(WAITING):
        jobs.submit(REQUEST)

    with pytest.raises(QueueFull, match="8 jobs are already queued"):
        jobs.submit(REQUEST)
    assert len(jobs.newest(100)) == 1 + WAITING


def test_a_request_that_is_sent_again_is_the_same_job(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST, "key")

    assert jobs.submit(REQUEST, "key").id == job.id
    assert jobs.submit(REQUEST, "other key").id != job.id
    assert jobs.submit(REQUEST).id != job.id
    with pytest.raises(KeyReused):
        jobs.submit({**REQUEST, "strategy": "finetune"}, "key")


def test_a_request_sent_by_many_at_once_is_one_job(jobs: Jobs) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = {job.id for job in pool.map(lambda _: jobs.submit(REQUEST, "key"), range(8))}

    assert len(found) == 1


def test_a_waiting_job_is_cancelled_at_once(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST)

    assert jobs.cancel(job.id).status is Status.CANCELLED
    assert jobs.claim("one") is None
    assert jobs.cancel(job.id).status is Status.CANCELLED


def test_a_running_job_is_asked_to_end(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST)
    lease = claimed(jobs)
    assert not lease.renew()

    assert jobs.cancel(job.id).status is Status.RUNNING
    assert lease.renew()

    lease.end(Status.CANCELLED, "cancelled while it ran")
    assert statuses(jobs, job) == ["queued", "running", "cancelled"]


def test_an_ended_job_is_not_cancelled(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST)
    claimed(jobs).end(Status.SUCCEEDED, "promoted")

    with pytest.raises(JobEnded, match="succeeded"):
        jobs.cancel(job.id)


@pytest.mark.usefixtures("no_time_to_live")
def test_a_job_whose_worker_falls_silent_is_run_once_more_and_then_failed(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST)

    for attempt in range(1, ATTEMPTS + 1):
        assert claimed(jobs, f"worker {attempt}").job.attempts == attempt
        assert jobs.is_waiting()
    assert jobs.claim("the last") is None

    failed = jobs.get(job.id)
    assert failed.status is Status.FAILED
    assert failed.reason == f"it was tried 2 times; the last time {module.SILENT}"
    assert statuses(jobs, job) == ["queued", "running", "queued", "running", "failed"]


@pytest.mark.usefixtures("no_time_to_live")
def test_a_worker_that_lost_its_job_can_write_nothing_more(jobs: Jobs) -> None:
    jobs.submit(REQUEST)
    lost = claimed(jobs, "one")
    claimed(jobs, "two")

    for write in (
        lost.renew,
        lambda: lost.report("progress", {}),
        lambda: lost.end(Status.SUCCEEDED, "promoted"),
        lambda: lost.release("stopped"),
        lambda: lost.held().__enter__(),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert jobs.newest(1)[0].worker == "two"


@pytest.mark.usefixtures("no_time_to_live")
def test_a_cancelled_job_whose_worker_dies_is_not_run_again(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST)
    claimed(jobs)
    jobs.cancel(job.id)

    assert jobs.claim("two") is None
    assert jobs.get(job.id).status is Status.CANCELLED


def test_whoever_knows_that_a_worker_is_dead_says_why(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST)
    claimed(jobs, "one")

    jobs.give_up("another", "it was killed")
    assert jobs.get(job.id).status is Status.RUNNING
    jobs.give_up("one", "it was killed")
    assert (jobs.get(job.id).status, jobs.get(job.id).reason) == (Status.QUEUED, "it was killed")

    claimed(jobs, "two")
    jobs.give_up("two", "it was killed again")
    assert jobs.get(job.id).reason == "it was tried 2 times; the last time it was killed again"


def test_a_worker_that_cannot_even_start_is_not_started_for_ever(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST)

    for _ in range(ATTEMPTS):
        jobs.give_up("one", "exit status 1")

    assert jobs.get(job.id).status is Status.FAILED


def test_a_released_job_waits_as_if_it_had_never_run(jobs: Jobs) -> None:
    job = jobs.submit(REQUEST)

    for _ in range(3):
        claimed(jobs).release("the worker was stopped")

    waiting = jobs.get(job.id)
    assert (waiting.status, waiting.attempts, waiting.worker) == (Status.QUEUED, 0, None)


def test_nobody_takes_a_job_while_its_worker_does_what_counts(
    jobs: Jobs, open_database: Callable[[], Database]
) -> None:
    jobs.submit(REQUEST)
    lease = claimed(jobs)
    other = Jobs(open_database())
    with ThreadPoolExecutor(1) as pool:
        with lease.held():
            taking = pool.submit(other.give_up, "one", "it seemed dead")
            assert not taking.done()
        taking.result()

    with pytest.raises(LeaseLost):
        lease.renew()


def test_an_unknown_job_is_not_found(jobs: Jobs) -> None:
    for ask in (jobs.get, jobs.cancel):
        with pytest.raises(JobNotFound, match="there is no job 7"):
            ask("7")
    assert jobs.events("7") == []
