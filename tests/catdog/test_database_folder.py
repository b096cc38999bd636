"""The database is in the data folder, for any name of the folder."""

from pathlib import Path

import pytest

from catdog.database import FILE, Database
from catdog.jobs.queue import Jobs


@pytest.mark.parametrize(
    "name", ["feature%2Fx", "what?", "a#b", "100%", "key=value&x", "semi;colon", "with space", "ü", "a:b@c"]
)
def test_the_database_lies_in_the_data_folder_however_that_is_called(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    database = Database.of(folder)

    assert Jobs(database).counts() is not None
    database.close()

    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()] == [Path(name) / FILE]
