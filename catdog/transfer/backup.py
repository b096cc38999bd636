"""Backs up the versions, pictures, labels and jobs of a service, which may be running.

    DIR/
      backup.json            what the backup contains
      catdog.sqlite          labels and jobs, also of a service with PostgreSQL
      pictures/3f/3f9c...    as in the data folder
      jobs/ID.log, batches/ID/
      models/                as in the model store: versions, champion

Most files are copied while the service writes. Then its changes wait until the database, and what is new since, are
copied too. So all that the service acknowledged before is in the backup, and all parts are of one moment.
"""

import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import Connection, true

from catdog import __version__
from catdog.database import Database, copy_rows, count_rows
from catdog.datasets.picture_files import FOLDER as PICTURES
from catdog.datasets.picture_files import PictureFiles
from catdog.datasets.picture_place import PicturePlace, place
from catdog.datasets.rows import referred_to
from catdog.errors import CatdogError, VersionNotFound
from catdog.jobs.job import FOLDER as JOBS
from catdog.system import durable
from catdog.system.failpoints import failpoint
from catdog.versions import shared_files
from catdog.versions.store import Store

DESCRIPTION: Final = "backup.json"
TOGETHER: Final = 8  # pictures of a bucket that are copied at a time
MODELS: Final = "models"
POINTERS: Final = ("champion", ".last", "trials.json", "canary.json")  # files of the store that aren't a version's

# Other files in the data folder that belong to a row. Without its journal, a batch that was running begins again.
OF_ROWS: Final = {JOBS: ("*.log",), "batches": ("*/archive", "*/result.*")}


class BackupError(CatdogError):
    """A backup that can't be written there, can't be used, or can't be restored there."""


@dataclass(frozen=True)
class Contents:
    """What a backup contains; `missing` are the sha256 of pictures whose files the service had lost already."""

    catdog: str
    made_at: str
    versions: tuple[int, ...]
    champion: int | None
    pictures: int
    rows: dict[str, int]
    missing: tuple[str, ...]


def backup(
    store: Store, database: Database, data_dir: Path, target: Path, pictures: Path | str | None = None
) -> Contents:
    """Write a backup into `target`, which must not exist yet; it appears when it is complete.

    `pictures` is a place of them outside of the data folder. BackupError, DatabaseUnavailable, StoreUnavailable,
    OSError if the disk is full.
    """
    if target.exists():
        raise BackupError(f"{target} exists already; choose another folder, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".catdog-backup-", dir=target.parent) as folder:
        made = Path(folder) / "content"
        made.mkdir()
        kept = place(data_dir, pictures)
        with database.reading() as connection:
            found = _pictures(connection)
        _copy_pictures(kept, made, found)
        _copy_versions(store, made)
        _copy_files_of_rows(data_dir, made)
        failpoint("backup.copied")
        contents = _finish(store, database, data_dir, made, kept)
        (made / DESCRIPTION).write_text(json.dumps(asdict(contents), indent=2), "utf-8")
        durable.sync_tree(made)
        made.rename(target)
        durable.sync(target.parent)
    return contents


def _finish(store: Store, database: Database, data_dir: Path, made: Path, kept: PicturePlace) -> Contents:
    """Copy the database, and the files that are new since, while nothing can change."""
    copy = Database.of(made)
    try:
        # The store first, in the same order as publishing. A reader of its own: the writer only holds the lock.
        with store.unchanged(), database.writing(), database.reading() as source:
            with copy.writing() as target:
                copy_rows(source, target)
            counts = count_rows(source)
            found = _pictures(source)
            missing = _copy_pictures(kept, made, found)
            _copy_versions(store, made)
            for name in POINTERS:
                if (content := store.place.read(name)) is not None:
                    (made / MODELS / name).write_bytes(content)
            _copy_files_of_rows(data_dir, made)
            versions, champions = store.versions(), store.champions()
    finally:
        copy.close()
    _remove_others(made, found, versions)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    champion = champions[0] if champions else None
    return Contents(__version__, now, versions, champion, len(found) - len(missing), counts, tuple(sorted(missing)))


def _pictures(connection: Connection) -> set[str]:
    """The sha256 of every picture that the database refers to."""
    return referred_to(connection, lambda _: true())


def _copy_pictures(kept: PicturePlace, made: Path, digests: Iterable[str]) -> set[str]:
    """Copy the pictures that aren't copied yet; returns the ones without a file."""
    copies, missing = PictureFiles(made / PICTURES), set()

    def copy(digest: str) -> None:
        path = copies.file(digest)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(kept.file(digest).read_bytes())
        except FileNotFoundError:  # removed since, if the service is running
            missing.add(digest)

    with ThreadPoolExecutor(TOGETHER if kept.is_remote else 1) as threads:
        list(threads.map(copy, digests))
    return missing


def _copy_versions(store: Store, made: Path) -> None:
    """Copy the versions that aren't copied yet; files that versions share are shared in the copy too."""
    copies = made / MODELS
    copies.mkdir(exist_ok=True)
    for number in store.versions():
        target, aside = copies / str(number), copies / f".{number}"
        if target.exists():
            continue
        try:
            source = store.open(number).path
            for path in sorted(path for path in source.rglob("*") if path.is_file()):
                name = path.relative_to(source)
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                others = [each / name for each in copies.iterdir()]
                shared_files.put(aside / name, memoryview(path.read_bytes()), others)
            aside.rename(target)
        except (FileNotFoundError, VersionNotFound):  # deleted in the meantime
            shutil.rmtree(aside, ignore_errors=True)


def _copy_files_of_rows(data_dir: Path, made: Path) -> None:
    """Copy the files that aren't copied yet, or have grown since."""
    for folder, patterns in OF_ROWS.items():
        for path in (path for pattern in patterns for path in (data_dir / folder).glob(pattern)):
            copy = made / path.relative_to(data_dir)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # removed since
                if not copy.exists() or copy.stat().st_size != path.stat().st_size:
                    shutil.copyfile(path, copy)


def _remove_others(made: Path, pictures: set[str], versions: Iterable[int]) -> None:
    """Remove copies of what was deleted while the backup was made."""
    files = PictureFiles(made / PICTURES)
    for names in files.by_folder():
        for digest in names - pictures:
            files.file(digest).unlink()
    for folder in (made / MODELS).iterdir():
        if folder.is_dir() and folder.name not in set(map(str, versions)):
            shutil.rmtree(folder)
