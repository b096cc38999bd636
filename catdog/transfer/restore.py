"""Restores a backup into an empty data folder and model store."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from catdog.database import FILE, Database, copy_rows, count_rows
from catdog.datasets.datasets import Datasets
from catdog.datasets.picture_files import FOLDER as PICTURES
from catdog.datasets.picture_files import PictureFiles
from catdog.errors import DatabaseUnavailable, StoreError
from catdog.system import durable
from catdog.system.failpoints import failpoint
from catdog.tables import identity
from catdog.transfer.backup import DESCRIPTION, MODELS, OF_ROWS, POINTERS, BackupError, Contents
from catdog.versions.store import DRAFT, Store
from catdog.versions.version import MANIFEST


def restore(
    source: Path, store: Store, database: Database, data_dir: Path, pictures: Path | str | None = None
) -> Contents:
    """Copy a backup's versions, pictures, labels and jobs to where a service expects them; it must not be running.

    Everything is checked first. The database is filled last, in one transaction: after an interruption the same
    restore can be repeated. `pictures` is a place for them outside of the data folder. BackupError,
    DatabaseUnavailable, StoreUnavailable, OSError if the disk is full.
    """
    datasets = Datasets(database, data_dir, pictures)
    contents = read(source)
    _check(source, contents)
    _check_database(source, contents)
    _refuse_other_versions(source, contents, store)
    with database.reading() as connection:
        if any(number for name, number in count_rows(connection).items() if name != identity.name):
            raise BackupError(
                f"the database of {data_dir} has data sets or jobs already; restore into another folder:"
                " --data-dir DIR, or an empty CATDOG_DATABASE_URL"
            )
    _refuse_place_of_others(source, database, datasets)
    _place_versions(source, contents, store)
    _place_pictures(source, database, datasets)
    for folder in OF_ROWS:
        if (source / folder).is_dir():
            shutil.copytree(source / folder, data_dir / folder, dirs_exist_ok=True)
    failpoint("restore.placed")
    _fill(source, database, datasets)
    with store.unchanged():
        for name in POINTERS:
            if (source / MODELS / name).exists():
                store.place.replace(name, (source / MODELS / name).read_text("ascii"))
    return contents


def read(source: Path) -> Contents:
    """What the backup in a folder contains; BackupError if it is none."""
    try:
        found = json.loads((source / DESCRIPTION).read_text("utf-8"))
        return Contents(**found | {"versions": tuple(found["versions"]), "missing": tuple(found["missing"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{source} is not a complete backup: its {DESCRIPTION} can't be read") from error


def _check(source: Path, contents: Contents) -> None:
    """Raise BackupError unless all versions and pictures are as they were backed up."""
    copies = Store(source / MODELS)
    if copies.versions() != contents.versions:
        raise BackupError(f"{source} is damaged: it should contain the versions {contents.versions}")
    for number in contents.versions:
        try:
            copies.open(number).verify()
        except StoreError as error:
            raise BackupError(f"{source} is damaged: {error}") from error
    pictures = PictureFiles(source / PICTURES)
    digests = [digest for names in pictures.by_folder() for digest in names]
    if len(digests) != contents.pictures:
        raise BackupError(f"{source} is damaged: it has {len(digests):,} of {contents.pictures:,} pictures")
    for digest in digests:
        if durable.sha256_of(pictures.file(digest)) != digest:
            raise BackupError(f"{source} is damaged: the picture {digest} has other bytes")


def _refuse_other_versions(source: Path, contents: Contents, store: Store) -> None:
    """Raise BackupError if the store has a version, such as the shipped one, that isn't the backup's."""
    for number in store.versions():
        mine, theirs = store.open(number).file(MANIFEST), source / MODELS / str(number) / MANIFEST
        if number not in contents.versions or mine.read_bytes() != theirs.read_bytes():
            raise BackupError(
                f"the store {store.place} has another version {number} than the backup; restore into another folder:"
                " --models DIR"
            )


def _place_versions(source: Path, contents: Contents, store: Store) -> None:
    for number in contents.versions:
        with durable.scratch(store.root, DRAFT) as aside:
            shutil.copytree(source / MODELS / str(number), aside, dirs_exist_ok=True)
            durable.sync_tree(aside)
            with store.unchanged():
                if number not in store.versions():
                    store.place.add(aside, number)


def _refuse_place_of_others(source: Path, database: Database, datasets: Datasets) -> None:
    """Raise BackupError if the bucket has the pictures of a third database, whose service may be running."""
    owner = datasets.place.owner() if datasets.place.is_remote else None
    with _database(source) as copy:
        if owner not in (None, copy.identity(), database.identity()):
            raise BackupError(
                f"the pictures in {datasets.place} are of another service; restore into another place:"
                " CATDOG_PICTURES=URL"
            )


def _place_pictures(source: Path, database: Database, datasets: Datasets) -> None:
    files = PictureFiles(source / PICTURES)
    for names in files.by_folder():
        with datasets.incoming() as folder:
            copies = {digest: folder / digest for digest in names}
            for digest, copy in copies.items():
                shutil.copyfile(files.file(digest), copy)
            datasets.place.place(copies, database)


def _fill(source: Path, database: Database, datasets: Datasets) -> None:
    """Copy the rows, and mark the pictures as this database's."""
    with _database(source) as copy, copy.reading() as rows_of_backup, database.writing() as connection:
        copy_rows(rows_of_backup, connection)
        datasets.place.own(copy.identity())


def _check_database(source: Path, contents: Contents) -> None:
    """Raise BackupError unless the database can be read and has as many rows as were backed up."""
    try:
        with _database(source) as copy, copy.reading() as connection:
            counts = count_rows(connection)
    except DatabaseUnavailable as error:
        raise BackupError(f"{source} is damaged: {FILE}: {error.reason}") from error
    if any(counts.get(name) != number for name, number in contents.rows.items()):
        raise BackupError(f"{source} is damaged: {FILE} has the rows {counts}, not {contents.rows}")


@contextmanager
def _database(source: Path) -> Iterator[Database]:
    """A copy of the backup's database, because that of an earlier catdog is brought up to date when it is opened."""
    if not (source / FILE).is_file():
        raise BackupError(f"{source} is damaged: it has no {FILE}")
    with TemporaryDirectory() as folder:
        shutil.copyfile(source / FILE, Path(folder) / FILE)
        copy = Database.of(Path(folder))
        try:
            yield copy
        finally:
            copy.close()
