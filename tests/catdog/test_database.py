import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from catdog.database import FILE, Database
from catdog.errors import DatabaseUnavailable
from catdog.tables import datasets

JOBS = (
    "from pathlib import Path; import sys; from sqlalchemy import update;"
    " from catdog.database import Database; from catdog.tables import jobs; from catdog.jobs.queue import Jobs; "
)


def counted(database: Database) -> list[float]:
    """What the tests write: times of data sets."""
    with database.reading() as connection:
        return list(connection.scalars(select(datasets.c.created_at)))


def test_the_tables_are_made_once_by_however_many_begin_at_once(open_database: Callable[[], Database]) -> None:
    databases = [open_database() for _ in range(6)]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(Database.identity, databases))

    assert len(set(found)) == 1


def test_what_fails_changes_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.writing() as connection:  # noqa: PT012  # both lines are the point
        connection.execute(insert(datasets).values(name="pets", created_at=7.0))
        raise RuntimeError

    assert counted(database) == []


def test_those_who_write_take_turns(open_database: Callable[[], Database]) -> None:
    """Each adds one to the number that it has read: concurrent writers would lose one."""
    databases = [open_database() for _ in range(4)]
    with databases[0].writing() as connection:
        connection.execute(insert(datasets).values(name="pets", created_at=1.0))

    def add_one(number: int) -> None:
        with databases[number % 4].writing() as connection:
            (found,) = connection.scalars(select(datasets.c.created_at))
            connection.execute(update(datasets).values(created_at=found + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, range(40)))

    assert counted(databases[0]) == [41]


def test_sqlite_keeps_a_rollback_journal_and_waits_for_the_disk(tmp_path: Path) -> None:
    database = Database.of(tmp_path)
    with database.writing() as connection:
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar()

    assert (journal, synchronous) == ("delete", 2)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("no url", "CATDOG_DATABASE_URL can't be used: "),
        ("oracle://somewhere/x", "CATDOG_DATABASE_URL can't be used: "),
        ("nothing://somewhere/x", "CATDOG_DATABASE_URL can't be used: "),
    ],
)
def test_a_url_that_leads_nowhere_is_refused_at_once(url: str, reason: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        Database(url)

    assert caught.value.reason.startswith(reason)


def test_a_server_that_does_not_answer_is_told_and_tried_again(tmp_path: Path) -> None:
    database = Database(f"postgresql://catdog@/catdog?host={tmp_path}")

    for _ in range(2):
        with pytest.raises(DatabaseUnavailable) as caught:
            counted(database)
        assert re.search("No such file|connection failed", caught.value.reason)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)

    with pytest.raises(DatabaseUnavailable) as caught:
        counted(Database.of(tmp_path))
    assert "not a database" in caught.value.reason


def test_a_process_killed_while_it_writes_leaves_what_was_there(tmp_path: Path) -> None:
    script = JOBS + (
        "import os, signal; d = Database.of(Path(sys.argv[1])); Jobs(d).submit({'n': 1})\n"
        "with d.writing() as c:\n"
        "    c.execute(update(jobs).values(status='failed'))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)

    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT status FROM jobs").fetchall() == [("queued",)]
    connection.close()
