"""Fixtures of the tests of the queue and of its worker."""

import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from benchmarks.faults.postgres import hung
from catdog import database as database_module
from catdog import postgresql
from catdog.database import FILE, Database
from catdog.jobs import queue as jobs_module
from catdog.jobs import worker as module
from catdog.jobs.queue import Jobs

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


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """A SQLite database that another process writes to, for longer than anyone waits."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


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
    return lambda: hung(database_url)
