"""Labelled pictures: each content once on the disk, as it came; its labels in the database.

    data/pictures/
      3f/3f9c...             a picture, named by the sha256 of its bytes; no file here ever changes
      .incoming-9c3f.../     pictures on their way in

What was acknowledged is on the disk. A file without a label, which a crash between the two can leave, is harmless.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from time import time

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, insert, select

from catdog import durable
from catdog.checksum import sha256_of
from catdog.database import Database, pictures
from catdog.errors import DatabaseUnavailable, DatasetNotFound, PictureNotFound
from catdog.picture import Added, New, Picture, Source
from catdog.splits import by_content

FOLDER = "pictures"  # in the data folder


class Datasets:
    """The data sets of one data folder. Any number of processes may use them at once."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        self._database = database
        self._root = data_dir / FOLDER

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A directory to gather new pictures in, on the disk where they will stay; removed at the end."""
        with durable.scratch(self._root, ".incoming-") as folder:
            yield folder

    def add(self, dataset: str, new: Iterable[New], source: Source, correcting: bool = False) -> list[Added]:
        """Take the files, which lie in `incoming`, into a data set: all of them or none, on the disk on return.

        A picture that is there already under the same label and split stays as it is. With `correcting`, labels that
        the same content had there before are gone.
        """
        fingerprinted = [(one, sha256_of(one.file)) for one in new]
        try:
            with self._database.writing() as connection:
                self._place(fingerprinted)
                if correcting:
                    for _, digest in fingerprinted:
                        connection.execute(delete(pictures).where(_is(dataset, digest)))
                return _insert(connection, dataset, fingerprinted, source)
        except BaseException:
            with suppress(DatabaseUnavailable):
                self._remove_unlabelled(digest for _, digest in fingerprinted)
            raise

    def names(self) -> tuple[str, ...]:
        """Every data set that has a picture."""
        with self._database.reading() as connection:
            return tuple(connection.scalars(select(pictures.c.dataset).distinct().order_by(pictures.c.dataset)))

    def pictures(self, dataset: str) -> list[Picture]:
        """All of them, in the order in which they came; DatasetNotFound where there is none."""
        columns = (pictures.c[field.name] for field in fields(Picture))
        query = select(*columns).where(pictures.c.dataset == dataset).order_by(pictures.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        if not rows:
            raise DatasetNotFound(dataset, self.names())
        return [_picture(row._mapping) for row in rows]

    def labelled_by_feedback(self) -> set[str]:
        """The sha256 of every picture that somebody corrected or confirmed."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(pictures.c.sha256).where(pictures.c.source == "feedback")))

    def path(self, sha256: str) -> Path:
        """Where the picture of this content is."""
        return self._root / sha256[:2] / sha256

    def read(self, dataset: str, sha256: str) -> bytes:
        """The bytes of a picture of a data set; PictureNotFound where it isn't in it."""
        with self._database.reading() as connection:
            if connection.scalar(select(pictures.c.id).where(_is(dataset, sha256)).limit(1)) is None:
                raise PictureNotFound(dataset, sha256)
        try:
            return self.path(sha256).read_bytes()
        except FileNotFoundError as error:  # it was taken out meanwhile
            raise PictureNotFound(dataset, sha256) from error

    def remove(self, dataset: str, sha256: str) -> None:
        """Take a picture out of a data set, under every label; PictureNotFound where it isn't in it.

        The file goes as well, unless another data set has it.
        """
        with self._database.writing() as connection:
            if not connection.execute(delete(pictures).where(_is(dataset, sha256))).rowcount:
                raise PictureNotFound(dataset, sha256)
        self._remove_unlabelled([sha256])

    def _place(self, fingerprinted: Sequence[tuple[New, str]]) -> None:
        """Move the files to where they stay, and bring them to the disk."""
        folders = set()
        for one, digest in fingerprinted:
            path = self.path(digest)
            if not path.exists():
                durable.sync(one.file)
                path.parent.mkdir(exist_ok=True)
                one.file.rename(path)
                folders.add(path.parent)
        for folder in (*folders, self._root):
            durable.sync(folder)

    def _remove_unlabelled(self, digests: Iterable[str]) -> None:
        """Remove files that no data set has, in a transaction of its own, so that nobody adds them meanwhile."""
        with self._database.writing() as connection:
            for digest in digests:
                if connection.scalar(select(pictures.c.id).where(pictures.c.sha256 == digest).limit(1)) is None:
                    self.path(digest).unlink(missing_ok=True)


def _insert(
    connection: Connection, dataset: str, fingerprinted: Sequence[tuple[New, str]], source: Source
) -> list[Added]:
    columns = pictures.c.sha256, pictures.c.label, pictures.c.split
    known = set(map(tuple, connection.execute(select(*columns).where(pictures.c.dataset == dataset))))
    now = time()
    added, rows = [], []
    for one, digest in fingerprinted:
        row = (digest, one.label, one.split or "")
        picture = Picture(digest, one.name, one.label, one.split or by_content(digest), source, now)
        added.append(Added(picture, row not in known))
        if row not in known:
            rows.append({**asdict(picture), "dataset": dataset, "split": one.split or ""})
            known.add(row)
    if rows:
        connection.execute(insert(pictures), rows)
    return added


def _picture(row: RowMapping) -> Picture:
    values = dict(row)
    return Picture(**values | {"split": values["split"] or by_content(values["sha256"])})


def _is(dataset: str, sha256: str) -> ColumnElement[bool]:
    return and_(pictures.c.dataset == dataset, pictures.c.sha256 == sha256)
