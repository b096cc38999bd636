"""Deliveries are claimed by one process at a time, repeated with growing pauses, and given up."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.errors import DeliveryNotFound, NoWebhook, UrlNotSet
from catdog.jobs.job import Kind as JobKind
from catdog.jobs.job import Status as JobStatus
from catdog.jobs.queue import Jobs
from catdog.policy import drift_record
from catdog.policy.drift_record import ENDS_SECONDS
from catdog.webhooks import outbox
from catdog.webhooks.deliveries import FIRST_SECONDS, MOST_SECONDS, Deliveries, Delivery, Outcome
from catdog.webhooks.message import Kind, Status

A, B = "http://127.0.0.1:1/a", "http://127.0.0.1:1/b"
HOUR = 3600.0


class Kept:
    """A database whose events go to two URLs, and a clock."""

    def __init__(self, database: Database) -> None:
        self.now = 0.0
        self.database = database
        self.deliveries = self.process()
        self.deliveries.send_to([A, B, A], lambda: ())

    def process(self) -> Deliveries:
        return Deliveries(self.database, give_up_hours=2, clock=lambda: self.now)

    def record(self, count: int = 1) -> None:
        for _ in range(count):
            with self.database.writing() as connection:
                outbox.record(connection, Kind.TEST, {})
        self.now = max(self.now, *(one.queued_at for one in self.deliveries.newest(1)))

    def claim(self, limit: int = 9) -> list[Delivery]:
        return self.deliveries.claim(A, limit, seconds=30)

    def newest(self) -> Delivery:
        """The newest delivery to A."""
        return next(one for one in self.deliveries.newest(9) if one.url == A)


@pytest.fixture
def kept(database_url: str) -> Iterator[Kept]:
    database = Database(database_url)
    yield Kept(database)
    database.close()


def test_an_event_is_queued_once_for_each_url_and_only_with_its_change(kept: Kept) -> None:
    kept.record()
    with suppress(ZeroDivisionError), kept.database.writing() as connection:
        outbox.record(connection, Kind.TEST, {})
        raise ZeroDivisionError

    found = kept.deliveries.newest(9)
    assert [one.url for one in found] == [B, A]
    assert len({one.event for one in found}) == 1


def test_of_many_processes_one_claims_an_event(kept: Kept) -> None:
    kept.record(20)

    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(lambda _: kept.process().claim(A, 5, 30), range(6)))

    ids = [one.id for claimed in claims for one in claimed]
    assert (len(ids), len(set(ids))) == (20, 20)


def test_what_a_dead_process_has_claimed_is_claimed_again_and_its_late_note_counts_for_nothing(kept: Kept) -> None:
    kept.record()
    (lost,) = kept.claim()
    assert kept.claim() == []

    kept.now += 31
    (again,) = kept.claim()
    assert (again.id, again.attempts) == (lost.id, 2)

    kept.deliveries.note([Outcome(lost)])
    assert kept.newest().status == Status.WAITING
    kept.deliveries.note([Outcome(again)])
    assert kept.newest().status == Status.DELIVERED


def test_pauses_grow_to_an_hour_and_after_two_hours_it_has_failed_and_can_be_replayed(kept: Kept) -> None:
    kept.record()
    began, pauses = kept.now, []
    while kept.newest().status == Status.WAITING:
        (claimed,) = kept.claim()
        kept.deliveries.note([Outcome(claimed, "x" * 999)])
        next_at = kept.newest().next_at
        if next_at is not None:
            pauses.append(next_at - kept.now)
            kept.now = next_at

    for number, pause in enumerate(pauses):
        longest = min(MOST_SECONDS, FIRST_SECONDS * 2**number)
        assert longest / 2 <= pause <= longest
    assert HOUR < kept.now - began <= 2 * HOUR
    failed = kept.newest()
    assert (failed.status, failed.ended_at, failed.problem) == (Status.FAILED, kept.now, "x" * 300)
    assert kept.claim() == []

    replayed = kept.deliveries.replay(failed.id)
    assert (replayed.status, replayed.event, replayed.attempts) == (Status.WAITING, failed.event, 0)
    (claimed,) = kept.claim()
    kept.deliveries.note([Outcome(claimed)])
    assert (kept.newest().status, kept.newest().problem) == (Status.DELIVERED, None)


def test_a_receiver_may_ask_for_a_longer_pause_but_not_for_any(kept: Kept) -> None:
    kept.record()
    for asked, pause in ((600, 600.0), (10**9, MOST_SECONDS)):
        (claimed,) = kept.claim()
        kept.deliveries.note([Outcome(claimed, "busy", asked)])
        next_at = kept.newest().next_at
        assert next_at == kept.now + pause
        kept.now = next_at


def test_only_what_exists_and_has_its_url_can_be_replayed(kept: Kept) -> None:
    kept.record()
    number = kept.newest().id
    with pytest.raises(DeliveryNotFound):
        kept.deliveries.replay(number + 99)

    kept.deliveries.send_to([B], lambda: ())
    with pytest.raises(UrlNotSet):
        kept.deliveries.replay(number)
    kept.deliveries.send_to([], lambda: ())
    with pytest.raises(NoWebhook):
        kept.deliveries.test()
    kept.record()
    assert len(kept.deliveries.newest(9)) == 2, "without a URL nothing is stored"


def test_old_deliveries_are_deleted_and_those_to_forgotten_urls_fail(kept: Kept) -> None:
    kept.record()
    (claimed,) = kept.claim()
    kept.deliveries.note([Outcome(claimed)])
    kept.deliveries.send_to([A], lambda: ())

    kept.now += 2 * HOUR + 1
    assert kept.deliveries.prune(days=1) == 0
    (other,) = (one for one in kept.deliveries.newest(9) if one.url == B)
    assert (other.status, other.problem) == (Status.FAILED, "its URL isn't set any more")

    kept.now += 23 * HOUR
    assert kept.deliveries.prune(days=1) == 1
    assert [one.url for one in kept.deliveries.newest(9)] == [B]


def test_jobs_drift_and_data_sets_record_their_events(kept: Kept, tmp_path: Path) -> None:
    batches, datasets = Jobs(kept.database, JobKind.BATCH), Datasets(kept.database, tmp_path)
    batches.submit({"photos": 3})
    lease = batches.claim("the test")
    assert lease is not None
    lease.end(JobStatus.FAILED, "no photo can be read")
    drift_record.tell(kept.database, 1, ["familiarity"], 100)
    drift_record.tell(kept.database, 1, ["familiarity"], 200)
    drift_record.tell(kept.database, 1, [], 200 + ENDS_SECONDS)
    datasets.create("pets")
    datasets.changes.rename("pets", "animals")

    recorded = [(one.kind, one.data) for one in reversed(kept.deliveries.newest(99)) if one.url == A]

    job = {"job": lease.job.id, "kind": "batch", "status": "failed", "reason": "no photo can be read"}
    assert recorded == [
        (Kind.JOB_ENDED, {**job, "version": None, "trigger": "request"}),
        (Kind.DRIFT_BEGAN, {"version": 1, "measures": ["familiarity"]}),
        (Kind.DRIFT_ENDED, {"version": 1, "measures": ["familiarity"], "began_at": 100}),
        (Kind.DATASET_CHANGED, {"dataset": "pets", "change": "created", "pictures": 0}),
        (Kind.DATASET_CHANGED, {"dataset": "pets", "change": "dataset", "target": "animals", "pictures": 0}),
    ]
