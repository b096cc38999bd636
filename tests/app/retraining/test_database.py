"""The database of labels and jobs is opened on first use, and not before."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app import main
from app.main import create_app
from app.retraining.database import ServiceDatabase
from app.settings import Settings, SettingsError
from catdog.database import Database
from tests.app.processes.test_shortened_imports import printed_by
from tests.app.service import ADMIN, serving


def test_the_database_s_libraries_are_imported_on_first_use(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from app.main import create_app\n"
        "from app.settings import Settings\n"
        "app = create_app(Settings())\n"
        "print('sqlalchemy' in sys.modules)\n"
        "print(app.state.database.jobs.newest(1), 'sqlalchemy' in sys.modules)"
    )

    assert printed_by(script, CATDOG_DATA_DIR=str(tmp_path)) == ["False", "[] True"]


def test_a_database_that_cannot_be_used_is_reported_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CATDOG_DATABASE_URL can't be used"):
        create_app(Settings(data_dir=tmp_path, database_url="nonsense://"))


def test_a_password_that_stands_where_the_port_would_is_not_printed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="its port is not a number") as raised:
        create_app(Settings(data_dir=tmp_path, database_url="postgresql://user:hunter2"))

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "address", ["/datasets", "/datasets/pets", "/retrain", "/retrain/latest", "/review", "/metrics"]
)
def test_predictions_go_on_while_requests_wait_for_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    opened_on: list[str] = []

    class Watched(ServiceDatabase):
        def _open(self) -> "Database":
            opened_on.append(threading.current_thread().name)
            return super()._open()

    monkeypatch.setattr(main, "ServiceDatabase", Watched)
    with serving(tmp_path, worker="none") as service:
        service.client.get(address, headers=ADMIN)

    assert opened_on
    assert [name for name in opened_on if not name.startswith("AnyIO worker thread")] == []


def test_however_many_ask_first_there_is_one_database(tmp_path: Path) -> None:
    records = ServiceDatabase(Settings(data_dir=tmp_path))

    with ThreadPoolExecutor(8) as threads:
        opened = set(threads.map(lambda _: records._open(), range(8)))

    assert len(opened) == 1
    records.close()
