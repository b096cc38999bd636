"""Data sets: pictures stored once by content, labels in the database.

    data/pictures/
      3f/3f9c...             a picture, named by the sha256 of its bytes; no file here ever changes
      .incoming-9c3f.../     pictures being uploaded
      .database              the identity of the database that names the pictures

They may lie in a bucket instead: `catdog.datasets.picture_bucket`. Acknowledged pictures are on the disk or in the
bucket. A file is written before its row and removed after it, so a crash in between leaves a file without a row, which
`sweep` removes.

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
from catdog.datasets.picture_files import FOLDER, MARK, Added, New, Picture, Source
from catdog.datasets.picture_place import Stored, place
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
from catdog.system.repeating import repeated
from catdog.tables import datasets, former_pictures, pictures
from catdog.webhooks.outbox import dataset_changed

INCOMING = ".incoming-"


class Datasets:
    """The data sets of one database and place of pictures, by default a folder in the data folder.

    Any number of processes may use them at once. With a bucket, what needs a picture raises StoreUnavailable if that
    doesn't answer.
    """

    def __init__(self, database: Database, data_dir: Path, pictures: Path | str | None = None) -> None:
        self._database = database
        self.place = place(data_dir, pictures)
        self._incoming = pictures if isinstance(pictures, Path) else data_dir / FOLDER
        self.changes = Changes(database)
        self.listing = Listing(database)

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A directory for new pictures, on the same disk as the ones stored in a folder; removed at the end."""
        if self.place.owner() is None:
            self._is_ours()
        with durable.scratch(self._incoming, INCOMING) as folder:
            yield folder

    def add(self, dataset: str, new: Iterable[New], source: Source, correcting: bool = False) -> list[Added]:
        """Add files in `incoming` to a data set, all or none; they are stored for good on return.

        A picture that already exists with the same label is unchanged, unless a different split is chosen for it. A
        label that differs from an existing one only in case is stored as the existing one. `correcting` replaces
        the labels that the same content had in the data set. Every class keeps a training picture.
        """
        fingerprinted = [(one, sha256_of(one.file)) for one in new]
        try:
            return self._add(dataset, fingerprinted, source, correcting)
        except BaseException:
            if not self.place.is_remote:  # else a sweep does it: the same request may come again at once
                self._remove_unlabelled({digest for _, digest in fingerprinted})
            raise

    @repeated
    def _add(
        self, dataset: str, fingerprinted: Sequence[tuple[New, str]], source: Source, correcting: bool
    ) -> list[Added]:
        files = {digest: one.file for one, digest in fingerprinted}
        placed = self.place.place(files, self._database)  # the slow part, outside the transaction
        failpoint("pictures.placed")
        with self._database.writing() as connection:
            self.place.confirm(connection, files, placed)
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

    def file(self, sha256: str) -> Stored:
        """The picture with this content."""
        return self.place.file(sha256)

    def refuse_missing(self, dataset: str, sha256: str) -> None:
        """PictureNotFound if the picture isn't in the data set."""
        with self._database.reading() as connection:
            if connection.scalar(select(pictures.c.id).where(is_content(dataset, sha256)).limit(1)) is None:
                raise PictureNotFound(dataset, sha256)

    def read(self, dataset: str, sha256: str) -> bytes:
        """The bytes of a picture; PictureNotFound if it isn't in the data set."""
        self.refuse_missing(dataset, sha256)
        try:
            return self.file(sha256).read_bytes()
        except FileNotFoundError as error:  # it was removed since the query
            raise PictureNotFound(dataset, sha256) from error

    def remove(self, dataset: str, sha256: str) -> None:
        """Remove a picture from a data set, with all its labels; PictureNotFound if it isn't in it.

        The file is removed too, unless another data set has it; this can't be undone. If it was the last training
        picture of its class, the picture whose content draws closest to train replaces it.
        """
        self.place.check()
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
        self.place.check()
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
        if not self._incoming.is_dir() and not any(self.place.by_folder()):
            return 0
        if not self._is_ours():
            raise DatasetError(
                f"the pictures in {self.place} are of another database than the one in use: set CATDOG_DATABASE_URL to"
                f" theirs; if that database is lost, remove {MARK} there, and the pictures that no data set refers to"
            )
        durable.sweep(self._incoming, INCOMING)
        return sum(self._remove_unlabelled(found - self.labelled(found)) for found in self.place.by_folder())

    def _is_ours(self) -> bool:
        """Whether the files belong to this database; marks the place as its own if it has no mark yet."""
        if self.place.owner() is None:
            if any(self.place.by_folder()) and not any(map(self.labelled, self.place.by_folder())):
                return False
            self.place.own(self._database.identity())
        return self.place.owner() == self._database.identity()

    def labelled(self, found: Collection[str]) -> set[str]:
        """Those of these sha256, at least one, that a picture, or a change that can be undone, refers to."""
        first, last = min(found), max(found)
        with self._database.reading() as connection:
            return referred_to(connection, lambda sha256: sha256.between(first, last))

    def _remove_unlabelled(self, digests: Collection[str]) -> int:
        """Remove files that nothing refers to; returns their number. `sweep` does it later without a database."""
        removed = 0
        with suppress(DatabaseUnavailable):
            for some in in_parts(sorted(digests)):
                removed += self.place.remove(some, self._database)
        return removed


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
