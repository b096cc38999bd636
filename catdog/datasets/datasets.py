"""Data sets: pictures stored once by content, labels in the database.

    data/pictures/
      3f/3f9c...             a picture, named by the sha256 of its bytes; no file here ever changes
      .incoming-9c3f.../     pictures being uploaded
      .database              the identity of the database that names the pictures

Acknowledged pictures are on the disk. A file is written before its row and removed after it, so a crash in between
leaves a file without a row, which `sweep` removes.

A row has the split that a person chose for the picture, or nothing if the content decides. If a class would have no
training picture, one is stored as if train had been chosen, so it stays there as the class grows.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from time import time

from sqlalchemy import Connection, delete, insert, select

from catdog.audit.log import record
from catdog.database import Database
from catdog.datasets.changes import Changes
from catdog.datasets.counts import Counts, counted, of_pictures
from catdog.datasets.errors import DatasetExists, DatasetNotFound, PictureNotFound
from catdog.datasets.listing import Listing
from catdog.datasets.picture_files import FOLDER, Added, New, Picture, PictureFiles, Source
from catdog.datasets.rows import (
    in_parts,
    is_content,
    keep_training,
    known,
    labels_by_dataset,
    labels_of,
    last_split,
    names,
    referred_to,
    refuse_in_use,
    spellings,
)
from catdog.errors import DatabaseUnavailable, DatasetError
from catdog.names import checked_dataset_name
from catdog.splits import SPLITS, Dealt, by_content, deal
from catdog.system import durable
from catdog.system.durable import sha256_of
from catdog.system.failpoints import failpoint
from catdog.tables import datasets, former_pictures, pictures
from catdog.webhooks.outbox import dataset_changed

INCOMING = ".incoming-"
MARK = ".database"  # the file with the identity of the pictures' database


class Datasets:
    """The data sets of one data folder. Any number of processes may use them at once."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        self._database = database
        self._root = data_dir / FOLDER
        self._files = PictureFiles(self._root)
        self.changes = Changes(database)
        self.listing = Listing(database)

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A directory for new pictures, on the same disk as the stored ones; removed at the end."""
        if not (self._root / MARK).exists():
            self._is_ours()
        with durable.scratch(self._root, INCOMING) as folder:
            yield folder

    def add(self, dataset: str, new: Iterable[New], source: Source, correcting: bool = False) -> list[Added]:
        """Add files in `incoming` to a data set, all or none; they are on the disk on return.

        A picture that already exists with the same label is unchanged, unless a different split is chosen for it. A
        label that differs from an existing one only in case is stored as the existing one. `correcting` replaces
        the labels that the same content had in the data set. Every class keeps a training picture.
        """
        fingerprinted = [(one, sha256_of(one.file)) for one in new]
        files = {digest: one.file for one, digest in fingerprinted}
        try:
            self._files.place(files)  # the slow part, outside the transaction
            failpoint("pictures.placed")
            with self._database.writing() as connection:
                self._files.replace_removed(files)
                corrected = {}
                if correcting:
                    corrected = labels_of(connection, dataset, files)
                    for digest in files:
                        connection.execute(delete(pictures).where(is_content(dataset, digest)))
                added = _insert(connection, dataset, fingerprinted, source)
                labels = {*corrected, *(one.picture.label for one in added)}
                added = _moved(added, keep_training(connection, dataset, labels))
                _record(connection, dataset, added, source)
                if count := sum(one.is_new for one in added):
                    dataset_changed(connection, dataset, "added", source=source, pictures=count)
        except BaseException:
            self._remove_unlabelled(files)
            raise
        failpoint("pictures.added")
        return added

    def create(self, dataset: str) -> None:
        """Create an empty data set; DatasetExists."""
        checked_dataset_name(dataset)
        with self._database.writing() as connection:
            if dataset in names(connection):
                raise DatasetExists(dataset)
            connection.execute(insert(datasets).values(name=dataset, created_at=time()))
            record(connection, name=dataset)
            dataset_changed(connection, dataset, "created", pictures=0)

    def names(self) -> tuple[str, ...]:
        """All data sets, in alphabetical order."""
        with self._database.reading() as connection:
            return names(connection)

    def pictures(self, dataset: str) -> list[Picture]:
        """All pictures, in the order of their addition; DatasetNotFound."""
        columns = (pictures.c[field.name] for field in fields(Picture))
        query = select(*columns).where(pictures.c.dataset == dataset).order_by(pictures.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        if not rows and dataset not in (there := self.names()):
            raise DatasetNotFound(dataset, there)
        dealt = deal(Dealt(row.sha256, row.label, row.split or None) for row in rows)
        return [Picture(**dict(row._mapping) | {"split": row.split or dealt[row.sha256]}) for row in rows]

    def counts(self, dataset: str | None = None) -> dict[str, Counts]:
        """The number of pictures by data set, split and class: of one data set (else DatasetNotFound) or of all."""
        with self._database.reading() as connection:
            counts, uncertain = counted(connection, dataset)
            there = names(connection)
        if dataset is not None and dataset not in there:
            raise DatasetNotFound(dataset, there)
        found = {name: counts.get(name, {}) for name in (there if dataset is None else (dataset,))}
        return found | {name: of_pictures(self.pictures(name)) for name in uncertain}

    def labelled_by_feedback(self) -> set[str]:
        """The sha256 of every picture whose label was corrected or confirmed by feedback."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(pictures.c.sha256).where(pictures.c.source == "feedback")))

    def path(self, sha256: str) -> Path:
        """The path of the picture with this content."""
        return self._files.path(sha256)

    def refuse_missing(self, dataset: str, sha256: str) -> None:
        """PictureNotFound if the picture isn't in the data set."""
        with self._database.reading() as connection:
            if connection.scalar(select(pictures.c.id).where(is_content(dataset, sha256)).limit(1)) is None:
                raise PictureNotFound(dataset, sha256)

    def read(self, dataset: str, sha256: str) -> bytes:
        """The bytes of a picture; PictureNotFound if it isn't in the data set."""
        self.refuse_missing(dataset, sha256)
        try:
            return self.path(sha256).read_bytes()
        except FileNotFoundError as error:  # it was removed since the query
            raise PictureNotFound(dataset, sha256) from error

    def remove(self, dataset: str, sha256: str) -> None:
        """Remove a picture from a data set, with all its labels; PictureNotFound if it isn't in it.

        The file is removed too, unless another data set has it; this can't be undone. If it was the last training
        picture of its class, the picture whose content draws closest to train replaces it.
        """
        with self._database.writing() as connection:
            labels = labels_of(connection, dataset, [sha256])
            if not connection.execute(delete(pictures).where(is_content(dataset, sha256))).rowcount:
                raise PictureNotFound(dataset, sha256)
            of_it = former_pictures.c.dataset == dataset, former_pictures.c.sha256 == sha256
            connection.execute(delete(former_pictures).where(*of_it))
            keep_training(connection, dataset, labels)
            record(connection, name=dataset, sha256=sha256, labels=sorted(labels))
            dataset_changed(connection, dataset, "removed", pictures=1)
        failpoint("picture.unlabelled")
        self._remove_unlabelled([sha256])

    def remove_everywhere(self, sha256: str) -> list[str]:
        """Remove a picture from all data sets, and from changes that can be undone; returns the names of these sets.

        DatasetInUse if a training on one of them is queued or running.
        """
        with self._database.writing() as connection:
            found = labels_by_dataset(connection, sha256)
            for dataset, labels in found.items():
                refuse_in_use(connection, dataset)
                connection.execute(delete(pictures).where(is_content(dataset, sha256)))
                keep_training(connection, dataset, labels)
                dataset_changed(connection, dataset, "removed", pictures=1)
            connection.execute(delete(former_pictures).where(former_pictures.c.sha256 == sha256))
            record(connection, sha256=sha256, datasets=sorted(found))
        failpoint("picture.unlabelled")
        self._remove_unlabelled([sha256])
        return sorted(found)

    def sweep(self) -> int:
        """Remove files without a row and uploads of dead processes; returns the number of files removed.

        DatasetError if the pictures belong to another database: all of them would seem to have no row.
        """
        if not self._root.is_dir():
            return 0
        if not self._is_ours():
            raise DatasetError(
                f"the pictures in {self._root} are of another database than the one in use: set CATDOG_DATABASE_URL to"
                f" theirs; if that database is lost, remove {MARK} there, and the pictures that no data set refers to"
            )
        durable.sweep(self._root, INCOMING)
        return sum(self._remove_unlabelled(found - self._labelled(found)) for found in self._files.by_folder())

    def _is_ours(self) -> bool:
        """Whether the files belong to this database; marks the folder as its own if it has no mark yet."""
        mark = self._root / MARK
        if not mark.exists():
            if not any(self._files.by_folder()) or any(map(self._labelled, self._files.by_folder())):
                self._root.mkdir(parents=True, exist_ok=True)
                with durable.locked(self._root / durable.LOCK):
                    durable.replace_text(mark, f"{self._database.identity()}\n")
                return True
            return False
        return mark.read_text().strip() == self._database.identity()

    def _labelled(self, found: Collection[str]) -> set[str]:
        """Those of these sha256 that a picture, or a change that can be undone, refers to."""
        first, last = min(found), max(found)
        with self._database.reading() as connection:
            return referred_to(connection, lambda sha256: sha256.between(first, last))

    def _remove_unlabelled(self, digests: Collection[str]) -> int:
        """Remove files that nothing refers to; returns their number. `sweep` does it later without a database.

        Runs in its own transaction, so no row that refers to one of them can be written in the meantime.
        """
        removed = 0
        with suppress(DatabaseUnavailable):
            for some in in_parts(sorted(digests)):
                with self._database.writing() as connection:
                    removed += self._remove_all(_unreferenced(connection, some))
        return removed

    def _remove_all(self, digests: Collection[str]) -> int:
        for digest in digests:
            self._files.remove(digest)
        return len(digests)


def _unreferenced(connection: Connection, digests: Collection[str]) -> set[str]:
    return set(digests) - referred_to(connection, lambda sha256: sha256.in_(digests))


def _insert(
    connection: Connection, dataset: str, fingerprinted: Sequence[tuple[New, str]], source: Source
) -> list[Added]:
    stored = known(connection, dataset, [digest for _, digest in fingerprinted])
    labels = spellings(connection, dataset, dict.fromkeys(one.label for one, _ in fingerprinted))
    now = time()
    added, rows = [], []
    for one, digest in fingerprinted:
        label, there = labels[one.label], stored.setdefault(digest, set())
        chosen = one.split or last_split(split for _, split in there)
        picture = Picture(digest, one.name, label, chosen or by_content(digest), source, now)
        added.append(Added(picture, (label, chosen) not in there))
        if (label, chosen) not in there:
            rows.append({**asdict(picture), "dataset": dataset, "split": chosen})
            there.add((label, chosen))
    for some in in_parts(rows):
        connection.execute(insert(pictures), some)
    return added


def _record(connection: Connection, dataset: str, added: Sequence[Added], source: Source) -> None:
    """Record in the audit log which pictures were added: their number by label, and of how many the row is new."""
    by_label = Counter(one.picture.label for one in added)
    record(connection, name=dataset, source=source, pictures=dict(by_label), new=sum(one.is_new for one in added))


def _moved(added: Sequence[Added], moved: Collection[str]) -> list[Added]:
    """A copy in which the pictures with these sha256 are in train."""
    return [
        Added(replace(one.picture, split=SPLITS[0]), one.is_new) if one.picture.sha256 in moved else one
        for one in added
    ]
