"""Fixtures for the tests of all packages."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from benchmarks.faults import postgres
from benchmarks.harness.processes import BenchmarkError
from catdog.database import Database
from tests.photos import draw_splits
from tests.places import ROOT
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.object_store import Bucket

END_OTHERS = text(
    "SELECT pg_terminate_backend(pid, :milliseconds) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def no_https() -> Iterator[None]:
    """No downloads from the internet, also in processes that the tests start: requests fail at once."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("https_proxy", "HTTPS_PROXY"):
            patch.setenv(name, "http://127.0.0.1:9")
        yield


@pytest.fixture(scope="session")
def bucket() -> Iterator["Bucket"]:
    """A bucket of an S3 server on loopback, which the variables of the environment name."""
    from tests.object_store import Bucket  # its server takes long to import

    made = Bucket("models")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.variables.items():
            patch.setenv(name, value)
        yield made
    made.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The photos next to the repository, which are never part of it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs photos that are no part of the repository, and {folder} is missing")
    return folder


@pytest.fixture(scope="session")
def imagenet_weights(shared_data: Path) -> Path:
    """ImageNet's VGG16 in float16, which is no part of the repository."""
    file = shared_data.parent / "models" / "vgg16_imagenet_notop_float16.h5"
    if not file.is_file():
        pytest.skip(f"needs ImageNet's weights, which are no part of the repository, and {file} is missing")
    return file


@pytest.fixture(scope="session")
def split_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 training, 6 validation and 30 test photos of cats and dogs each: just enough to decide on a promotion."""
    return draw_splits(tmp_path_factory.mktemp("photos"), 16, 6, 30)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A server on a socket in a temporary folder; skips if none is installed."""
    try:
        postgres.programs()
    except BenchmarkError as error:
        pytest.skip(str(error))
    with TemporaryDirectory(prefix="catdog-postgresql-") as name:  # pytest's own is closed to the server's user
        folder = Path(name)
        folder.chmod(0o755)
        with postgres.server(folder / "server", is_durable=False) as server:
            yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Each supported kind of database."""
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if database_kind == "sqlite":
        return f"sqlite:///{tmp_path / 'catdog.sqlite'}"
    url: str = request.getfixturevalue("empty_postgresql_url")
    return url


@pytest.fixture
def empty_postgresql_url(postgresql_url: str) -> str:
    engine = create_engine(postgresql_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        # What a service that has ended still asked a hung server for would hold locks.
        connection.execute(END_OTHERS, {"milliseconds": round(1000 * PATIENCE_SECONDS)})
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgresql_url


@pytest.fixture
def open_database(database_url: str) -> Iterator[Callable[[], Database]]:
    """Opens the database of the test again, like another process."""
    opened: list[Database] = []

    def open_it() -> Database:
        opened.append(Database(database_url))
        return opened[-1]

    yield open_it
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    return open_database()
