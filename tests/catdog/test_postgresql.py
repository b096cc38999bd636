"""Requests to a server that doesn't answer time out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from benchmarks.faults.postgres import hung
from catdog import database as database_module
from catdog import postgresql
from catdog.database import Database
from catdog.errors import DatabaseUnavailable
from catdog.jobs.queue import Jobs
from catdog.tables import identity
from tests.waiting import PATIENCE_SECONDS, until


@pytest.fixture
def database_url(empty_postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(postgresql, "CONNECT_SECONDS", 2)  # the driver takes less for 2
    return empty_postgresql_url


@pytest.fixture
def used(database: Database) -> Database:
    """A database with a connection in its pool."""
    assert version(database) is not None
    return database


def version(database: Database) -> int | None:
    with database.reading() as connection:
        return connection.scalar(select(identity.c.id))


def test_a_frozen_server_is_unavailable_and_then_there_again(
    used: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(database_module, "SPARED_SECONDS", 0.0)
    with hung(database_url):
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                version(used)

    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", PATIENCE_SECONDS)
    assert version(used) is not None


def test_a_statement_in_the_middle_of_a_transaction_is_given_up_as_well(
    used: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask() -> None:
        with used.writing() as connection, hung(database_url):
            monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 0.1)
            connection.scalar(select(identity.c.id))

    with pytest.raises(DatabaseUnavailable) as caught:
        ask()
    assert "hasn't answered for 0.1 seconds" in caught.value.reason


def test_others_do_not_wait_as_long_for_a_server_that_has_just_not_answered(
    used: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(database_module, "SPARED_SECONDS", PATIENCE_SECONDS)
    with hung(database_url), pytest.raises(DatabaseUnavailable) as first:
        version(used)

    with pytest.raises(DatabaseUnavailable) as second:
        version(used)

    assert second.value.reason == first.value.reason


def test_closing_the_database_ends_every_wait_for_its_server(
    used: Database, open_database: Callable[[], Database]
) -> None:
    with open_database().writing() as connection, ThreadPoolExecutor(1) as pool:
        connection.scalar(select(identity.c.id))
        waiting = pool.submit(Jobs(used).submit, {})  # for the lock of the one who writes
        until(lambda: connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")) == 1)
        used.close()
        with pytest.raises(DatabaseUnavailable) as caught:
            waiting.result(PATIENCE_SECONDS)
    assert "no longer waits for the database" in caught.value.reason
