"""A backup, restored elsewhere, is the service again, also if it was made under load."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import select

from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.jobs.job import log_file
from catdog.jobs.queue import Jobs
from catdog.tables import identity, metadata
from catdog.transfer.backup import BackupError, backup
from catdog.transfer.restore import restore
from catdog.versions.store import Store
from tests.app.service import ADMIN, publish, serving
from tests.catdog.datasets.test_datasets import add
from tests.object_store import Bucket
from tests.photos import draw_set
from tests.waiting import until
from training.data import service_datasets


class Home:
    """A model store, a data folder and a database."""

    def __init__(self, folder: Path, database: Database, pictures: str | None = None) -> None:
        self.pictures = pictures
        self.data_dir, self.database, self.store = folder / "data", database, Store(folder / "models")
        self.datasets, self.jobs = Datasets(database, self.data_dir, pictures), Jobs(database)

    def backup(self, target: Path) -> Any:
        return backup(self.store, self.database, self.data_dir, target, self.pictures)

    def restore(self, source: Path) -> Any:
        return restore(source, self.store, self.database, self.data_dir, self.pictures)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        with self.database.reading() as connection:
            return {
                table.name: [dict(row._mapping) for row in connection.execute(select(table).order_by(*table.c[:1]))]
                for table in metadata.sorted_tables
            }

    def files(self) -> dict[str, bytes]:
        """Versions, the champion, pictures, logs and results of batches."""
        roots = self.store.root, self.data_dir / "pictures", self.data_dir / "jobs", self.data_dir / "batches"
        return {
            str(path.relative_to(root.parent)): path.read_bytes()
            for root in roots
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.name != ".lock"
        }


@pytest.fixture
def home(tmp_path: Path, database: Database) -> Home:
    """The second of two versions in service, the first on trial; a data set, a removed picture, and a queued job."""
    found = Home(tmp_path / "home", database)
    publish(found.store.root)
    publish(found.store.root, seed=8)
    found.store.promote(2)
    found.store.try_out(1, 2)
    service_datasets.import_folder(draw_set(tmp_path / "photos", 5), found.datasets, "pets")
    found.datasets.remove("pets", found.datasets.pictures("pets")[0].sha256)
    job = found.jobs.submit({"dataset": "pets"})
    log_file(found.data_dir, job.id).parent.mkdir()
    log_file(found.data_dir, job.id).write_text("began\n")
    (found.data_dir / "batches" / "5d").mkdir(parents=True)
    (found.data_dir / "batches" / "5d" / "result.csv").write_text("path,label\n")
    return found


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Home]:
    database = Database.of(tmp_path / "elsewhere" / "data")
    yield Home(tmp_path / "elsewhere", database)
    database.close()


def test_a_restored_backup_is_what_was_backed_up(home: Home, elsewhere: Home, tmp_path: Path) -> None:
    made = home.backup(tmp_path / "backup")
    shutil.move(tmp_path / "backup", tmp_path / "moved")

    assert elsewhere.restore(tmp_path / "moved") == made
    assert (made.versions, made.champion, made.pictures, made.missing) == ((1, 2), 2, 9, ())
    assert elsewhere.rows() == home.rows()
    assert elsewhere.files() == home.files()
    assert elsewhere.datasets.sweep() == 0
    assert elsewhere.jobs.newest(1)[0].id == home.jobs.newest(1)[0].id
    assert publish(elsewhere.store.root) == 3


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_pictures_move_between_a_folder_and_a_bucket_by_a_backup(home: Home, tmp_path: Path, bucket: Bucket) -> None:
    url = f"{bucket.url}/{tmp_path.name}/pictures"
    made = home.backup(tmp_path / "backup")
    with closing(Database.of(tmp_path / "other" / "data")) as database:
        other = Home(tmp_path / "other", database, url)
        assert other.restore(tmp_path / "backup") == made
        assert not list((tmp_path / "other" / "data" / "pictures").glob("??/*"))
        assert other.datasets.sweep() == 0
        assert other.backup(tmp_path / "again").pictures == made.pictures

    with closing(Database.of(tmp_path / "third" / "data")) as database:
        third = Home(tmp_path / "third", database)
        third.restore(tmp_path / "again")
        pictures = third.datasets.pictures("pets")
        assert pictures == home.datasets.pictures("pets")
        assert [third.datasets.read("pets", one.sha256) for one in pictures] == [
            home.datasets.read("pets", one.sha256) for one in pictures
        ]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_bucket_of_another_service_is_not_restored_into(home: Home, tmp_path: Path, bucket: Bucket) -> None:
    url = f"{bucket.url}/{tmp_path.name}/pictures"
    home.backup(tmp_path / "backup")
    with closing(Database.of(tmp_path / "others" / "data")) as database:
        add(Datasets(database, tmp_path / "others" / "data", url), b"a cat")
    with closing(Database.of(tmp_path / "other" / "data")) as database:
        other = Home(tmp_path / "other", database, url)

        with pytest.raises(BackupError, match=r"the pictures in s3://\S+ are of another service; restore into another"):
            other.restore(tmp_path / "backup")

        assert other.store.versions() == ()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_backup_can_move_to_postgresql(home: Home, tmp_path: Path, empty_postgresql_url: str) -> None:
    home.backup(tmp_path / "backup")
    database = Database(empty_postgresql_url)
    other = Home(tmp_path / "other", database)
    try:
        other.restore(tmp_path / "backup")

        assert other.rows() == home.rows()
        assert other.jobs.submit({"dataset": "pets"}).number == 2
    finally:
        database.close()


def test_nothing_that_was_acknowledged_before_a_backup_is_missing(tmp_path: Path) -> None:
    """Pictures are uploaded and removed, and versions promoted, all the time."""
    models, data = tmp_path / "models", tmp_path / "data"
    publish(models)
    publish(models, seed=8)
    photos = sorted(draw_set(tmp_path / "photos", 150).rglob("*.png"))
    acknowledged: list[str] = []
    is_over = Event()
    with serving(models, data_dir=data, worker="none") as service:

        def upload() -> None:
            for number, photo in enumerate(photos):
                if is_over.is_set():
                    return
                files, label = {"files": (photo.name, photo.read_bytes())}, photo.parent.name
                answer = service.client.post("/datasets/pets/images", files=files, data={"label": label}, headers=ADMIN)
                added = answer.raise_for_status().json()["results"][0]["picture"]
                if number % 5 == 4:
                    service.client.delete(f"/datasets/pets/images/{added['sha256']}", headers=ADMIN).raise_for_status()
                    service.client.post(f"/models/{1 + number % 2}/promote", headers=ADMIN).raise_for_status()
                else:
                    acknowledged.append(added["sha256"])

        thread = Thread(target=upload)
        thread.start()
        database = Database.of(data)
        home = Home(tmp_path, database)
        for part in range(1, 4):
            until(partial(has_more_than, acknowledged, 10 * part))
            before = list(acknowledged)
            made = home.backup(tmp_path / f"backup-{part}")
            assert thread.is_alive()
            assert made.missing == ()
            other = Home(tmp_path / f"restored-{part}", Database.of(tmp_path / f"restored-{part}" / "data"))
            other.restore(tmp_path / f"backup-{part}")
            pictures = other.datasets.pictures("pets")
            assert set(before) <= {picture.sha256 for picture in pictures}
            assert all(other.datasets.file(picture.sha256).read_bytes() for picture in pictures)
            assert other.store.champion() == made.champion
            other.store.open(other.store.champion()).verify()
            other.database.close()
        is_over.set()
        thread.join()
        database.close()


def has_more_than(found: list[str], number: int) -> bool:
    return len(found) > number


def test_a_backup_never_replaces_a_folder(home: Home, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="exists already"):
        home.backup(tmp_path)


def test_a_restore_never_changes_what_is_there(home: Home, elsewhere: Home, tmp_path: Path) -> None:
    home.backup(tmp_path / "backup")
    before = home.files()

    with pytest.raises(BackupError, match="data sets or jobs already"):
        home.restore(tmp_path / "backup")
    publish(elsewhere.store.root, seed=9)
    with pytest.raises(BackupError, match="another version 1"):
        elsewhere.restore(tmp_path / "backup")
    assert home.files() == before


@pytest.mark.parametrize("damage", ["picture", "version", "lost", "description", "database"])
def test_a_damaged_backup_is_refused_before_anything_is_written(
    damage: str, home: Home, elsewhere: Home, tmp_path: Path
) -> None:
    home.backup(tmp_path / "backup")
    picture = next((tmp_path / "backup" / "pictures").glob("??/*"))
    match damage:
        case "picture":
            picture.write_bytes(b"other")
        case "lost":
            picture.unlink()
        case "version":
            (tmp_path / "backup" / "models" / "1" / "model.weights.h5").write_bytes(b"other")
        case "description":
            (tmp_path / "backup" / "backup.json").write_text(json.dumps({"versions": [1]}))
        case "database":
            (tmp_path / "backup" / "catdog.sqlite").write_bytes(b"no database" * 100)

    with pytest.raises(BackupError, match=r"damaged|not a complete backup"):
        elsewhere.restore(tmp_path / "backup")
    assert elsewhere.store.versions() == ()
    assert not (elsewhere.data_dir / "pictures").exists()
    assert elsewhere.rows()[identity.name] != []


def test_a_restore_that_was_interrupted_is_repeated(
    home: Home, elsewhere: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.backup(tmp_path / "backup")
    with monkeypatch.context() as patch:
        patch.setattr("catdog.transfer.restore.copy_rows", fail)
        with pytest.raises(OSError, match="disk"):
            elsewhere.restore(tmp_path / "backup")

    elsewhere.restore(tmp_path / "backup")

    assert elsewhere.rows() == home.rows()


def fail(*_: object) -> None:
    raise OSError("the disk is full")
