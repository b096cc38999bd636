"""Databases of every earlier catdog are brought up to date, and newer ones are refused."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

import catdog.splits
from catdog import migrations
from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.errors import DatabaseUnavailable
from catdog.jobs.queue import Jobs
from catdog.splits import by_content
from catdog.tables import metadata
from tests.places import ROOT

SHA256 = "abababababababababababababababababababababababababababababababab"
FIRST = (
    "INSERT INTO catdog_schema VALUES (1)",
    "INSERT INTO pictures (dataset, sha256, label, split, source, name, added_at) VALUES ('pets',"
    " 'abababababababababababababababababababababababababababababababab', 'cat', '', 'upload', 'a.jpg', 1.5)",
    "INSERT INTO jobs (id, status, request, attempts, submitted_at, progress)"
    """ VALUES ('0123', 'succeeded', '{"dataset": "pets"}', 1, 2.5, '{}')""",
)
EARLIER = sorted(file.stem[1:5] for file in (ROOT / "catdog" / "migrations" / "versions").glob("m*.py"))[:-1]
UNMARKED = EARLIER[:6]  # the revisions from before they were marked


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def make(url: str, revision: str, is_marked: bool = True) -> None:
    """A database with a picture and a job, as a catdog of that revision left it; early ones marked nothing."""
    with writing(url) as connection:
        migrations.upgrade(connection, "0001")
        for statement in FIRST:
            connection.execute(text(statement))
        migrations.upgrade(connection, revision)
        if not is_marked:
            connection.execute(text("DROP TABLE alembic_version"))


def differences(url: str) -> list[object]:
    with writing(url) as connection:
        is_sqlite = connection.dialect.name == "sqlite"  # it ignores lengths, so migrations leave them
        context = MigrationContext.configure(connection, opts={"compare_type": not is_sqlite})
        return list(compare_metadata(context, metadata))


@pytest.mark.parametrize(
    ("revision", "is_marked"), [*((each, True) for each in EARLIER), *((each, False) for each in UNMARKED)]
)
def test_an_earlier_database_keeps_its_rows_and_gets_the_present_tables(
    database_url: str, open_database: Callable[[], Database], tmp_path: Path, revision: str, is_marked: bool
) -> None:
    make(database_url, revision, is_marked)

    database = open_database()

    (picture,) = Datasets(database, tmp_path).pictures("pets")
    assert (picture.sha256, picture.label, picture.split) == (SHA256, "cat", by_content(SHA256))
    job = Jobs(database).get("0123")
    assert (job.request, job.submitted_at) == ({"dataset": "pets"}, 2.5)
    assert len(database.identity()) == 32
    assert differences(database_url) == []


@pytest.mark.parametrize("revision", ["0001", "0007"])
def test_sqlite_gives_no_number_twice_in_an_earlier_database_either(tmp_path: Path, revision: str) -> None:
    url = f"sqlite:///{tmp_path / 'catdog.sqlite'}"
    make(url, revision)
    Database(url).identity()

    with writing(url) as connection:
        first = connection.scalar(text("SELECT max(id) FROM pictures"))
        connection.execute(text("DELETE FROM pictures"))
        connection.execute(text(FIRST[1]))
        assert connection.scalar(text("SELECT id FROM pictures")) == first + 1


def test_new_tables_are_those_that_all_migrations_make(database_url: str, database: Database) -> None:
    database.identity()

    assert differences(database_url) == []
    with writing(database_url) as connection:
        assert migrations.found(connection) == migrations.HEAD


def test_however_many_begin_at_once_the_tables_are_changed_once(
    database_url: str, open_database: Callable[[], Database]
) -> None:
    make(database_url, "0001", is_marked=False)
    databases = [open_database() for _ in range(6)]

    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(Database.identity, databases))

    assert len(found) == 1
    assert differences(database_url) == []


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    database_url: str, open_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(database_url, "0002")

    def fail(sha256: str) -> str:
        raise RuntimeError(sha256)

    with monkeypatch.context() as patch:
        patch.setattr(catdog.splits, "by_content", fail)
        with pytest.raises(RuntimeError):
            open_database().identity()

    with writing(database_url) as connection:
        assert migrations.found(connection) == "0002"
        assert "drawn" not in {column["name"] for column in inspect(connection).get_columns("pictures")}
    assert open_database().identity()


@pytest.mark.parametrize("revision", ["9999", "f00d"])
def test_a_database_of_a_newer_catdog_is_refused(
    database_url: str, open_database: Callable[[], Database], revision: str
) -> None:
    make(database_url, migrations.HEAD)
    with writing(database_url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :newer"), {"newer": revision})

    with pytest.raises(DatabaseUnavailable) as caught:
        open_database().identity()
    assert caught.value.reason.startswith(f"a newer catdog made its tables (revision {revision}; this one knows them")


def test_alembic_is_not_imported_where_there_is_nothing_to_change(tmp_path: Path) -> None:
    """It would delay the service's first answer."""
    script = (
        "import sys; from pathlib import Path; from catdog.database import Database\n"
        "Database.of(Path(sys.argv[1])).identity(); print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]

    said = [
        subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout for _ in range(2)
    ]

    assert said == ["False\n", "False\n"]
