"""How cores and limits are divided among processes."""

import os
from pathlib import Path

import pytest

from app.processes import launch, shares
from app.settings import Settings
from catdog.system import resources

CORES = {0, 1, 2, 3, 8, 9}


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lets the process use CORES, without a quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: CORES)
    monkeypatch.setattr(resources, "PROC", Path("/proc/none"))


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 6])
def test_each_core_belongs_to_one_process(processes: int) -> None:
    found = [shares.cores_of(place, processes) for place in range(processes)]

    assert sorted(core for part in found for core in part or ()) == sorted(CORES)
    assert max(len(part or ()) for part in found) - min(len(part or ()) for part in found) <= 1


def test_more_processes_than_cores_share_them() -> None:
    found = [shares.cores_of(place, 13) for place in range(13)]

    assert all(part and len(part) == 1 for part in found)
    assert frozenset().union(*(part or () for part in found)) == CORES


def test_limits_are_divided_and_rounded_up() -> None:
    share = shares.of(Settings(threads=5, queue_items=5, max_uploads=3, cache_items=0, max_connections=10), 0, 2)

    assert (share.threads, share.queue_items, share.max_uploads, share.cache_items) == (3, 3, 2, 0)
    assert share.max_connections == 5


def test_by_default_a_process_has_a_thread_for_each_of_its_cores() -> None:
    whole, share = Settings(), shares.of(Settings(), 1, 2)

    assert (share.threads, share.decoders) == (3, 3)
    assert share.queue_items == whole.queue_items / 2
    assert share.max_bodies_bytes is not None
    assert share.max_bodies_bytes > share.max_batch_bytes, "one batch fits"


def test_with_a_quota_threads_are_divided_and_no_core_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "usable_cores", lambda: 4)

    assert shares.cores_of(0, 2) is None
    assert shares.of(Settings(), 0, 2).threads == 2


def test_auto_is_one_process_for_each_four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch.count(Settings()) == 1
    assert launch.count(Settings(processes=3)) == 3
    assert launch.count(Settings(processes="auto")) == 1
    monkeypatch.setattr(resources, "usable_cores", lambda: 9)
    assert launch.count(Settings(processes="auto")) == 2
    assert launch.count(Settings(processes="auto", engine="keras")) == 1, "on a GPU requests share batches"
