"""The files of pictures agree with the database, whenever a process is killed, and after a sweep."""

import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path

import pytest

from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.errors import DatasetError
from catdog.system import failpoints
from tests.catdog.datasets.test_datasets import add, files, path
from tests.waiting import until


def test_files_are_on_the_disk_before_the_transaction_that_names_them(
    datasets: Datasets, database: Database, tmp_path: Path
) -> None:
    """So other processes can write while the disk is slow."""
    placed = path(datasets, sha256(b"a cat").hexdigest())
    with ThreadPoolExecutor(1) as pool:
        with database.writing():
            adding = pool.submit(add, datasets, b"a cat")
            until(placed.exists)
        adding.result()

    assert len(datasets.pictures("pets")) == 1
    assert files(tmp_path / "data" / "pictures") == [placed.name]


def test_a_file_that_is_removed_before_its_row_is_written_comes_back(datasets: Datasets, database: Database) -> None:
    """This happens if the same content is removed from another data set, or a sweep finds it without a row."""
    placed = path(datasets, sha256(b"a cat").hexdigest())
    with ThreadPoolExecutor(1) as pool:
        with database.writing():
            adding = pool.submit(add, datasets, b"a cat")
            until(placed.exists)
            placed.unlink()
        adding.result()

    assert placed.read_bytes() == b"a cat"


def test_a_file_system_without_hard_links_keeps_pictures_as_well(
    datasets: Datasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", no_links)
    ((picture, _),) = add(datasets, b"a cat")

    assert datasets.read("pets", picture.sha256) == b"a cat"
    assert files(tmp_path / "data" / "pictures") == [picture.sha256]


KILLED = """
import sys
from pathlib import Path
from catdog.database import Database
from catdog.tables import pictures
from catdog.datasets.datasets import Datasets
from catdog.datasets.picture_files import New

datasets = Datasets(Database(sys.argv[1]), Path(sys.argv[2]))
with datasets.incoming() as folder:
    (folder / "0").write_bytes(b"a cat")
    ((picture, _),) = datasets.add("pets", [New(folder / "0", "", "cat")], "upload")
datasets.remove("pets", picture.sha256)
"""


@pytest.mark.parametrize(
    ("place", "kept"), [("pictures.placed", False), ("pictures.added", True), ("picture.unlabelled", False)]
)
def test_a_process_killed_between_a_row_and_its_file_leaves_both_or_neither_after_a_sweep(
    datasets: Datasets, database_url: str, tmp_path: Path, place: str, kept: bool
) -> None:
    assert place in failpoints.OF_PICTURES
    command = [sys.executable, "-c", KILLED, database_url, str(tmp_path / "data")]
    killed = subprocess.run(command, env=os.environ | {failpoints.VARIABLE: place}, check=False)
    assert killed.returncode == -signal.SIGKILL
    digest = sha256(b"a cat").hexdigest()
    assert path(datasets, digest).exists()

    datasets.sweep()

    assert files(tmp_path / "data" / "pictures") == ([digest] if kept else [])
    assert list((tmp_path / "data" / "pictures").glob(".incoming-*")) == []
    assert [picture.sha256 for name in datasets.names() for picture in datasets.pictures(name)] == [digest] * kept


def test_a_sweep_removes_files_without_a_row_and_nothing_else(datasets: Datasets, tmp_path: Path) -> None:
    contents = [b"%d" % number for number in range(300)]
    add(datasets, *contents)
    left = {sha256(b"left %d" % number).hexdigest() for number in range(20)}
    for digest in left:
        path(datasets, digest).parent.mkdir(exist_ok=True)
        path(datasets, digest).write_bytes(b"")

    with datasets.incoming() as mine:
        assert datasets.sweep() == 20
        assert mine.exists(), "what is on its way stays"

    assert files(tmp_path / "data" / "pictures") == sorted(sha256(content).hexdigest() for content in contents)


def test_a_sweep_with_another_database_removes_nothing(datasets: Datasets, tmp_path: Path) -> None:
    """This happens if the service is started once without its CATDOG_DATABASE_URL."""
    ((picture, _),) = add(datasets, b"a cat")
    elsewhere = Datasets(Database.of(tmp_path / "elsewhere"), tmp_path / "data")

    with pytest.raises(DatasetError, match="are of another database than the one in use: set CATDOG_DATABASE_URL"):
        elsewhere.sweep()
    add(elsewhere, b"a dog")
    with pytest.raises(DatasetError):
        elsewhere.sweep()

    assert datasets.sweep() == 1, "the dog"
    assert datasets.read("pets", picture.sha256) == b"a cat"


@pytest.mark.parametrize("is_known", [True, False])
def test_pictures_from_before_there_were_marks_are_of_the_database_that_names_one(
    datasets: Datasets, tmp_path: Path, is_known: bool
) -> None:
    add(datasets, b"a cat")
    (tmp_path / "data" / "pictures" / ".database").unlink()
    mine = datasets if is_known else Datasets(Database.of(tmp_path / "elsewhere"), tmp_path / "data")

    with nullcontext() if is_known else pytest.raises(DatasetError):
        mine.sweep()

    assert len(files(tmp_path / "data" / "pictures")) == 1
    assert (tmp_path / "data" / "pictures" / ".database").exists() == is_known


def test_what_a_killed_process_was_gathering_is_removed(datasets: Datasets, tmp_path: Path) -> None:
    add(datasets, b"a cat")
    root = tmp_path / "data" / "pictures"
    (root / ".incoming-0" / "content").mkdir(parents=True)
    (root / ".incoming-0" / "content" / "0").write_bytes(b"half a pict")

    with datasets.incoming() as mine:
        assert not (root / ".incoming-0").exists()
        with datasets.incoming():
            assert mine.exists(), "but what others gather now stays"
