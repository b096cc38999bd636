"""Relabels, moves and deletes many pictures at once, and undoes it.

A change keeps the rows as they were, and so their files, until it is forgotten. To change rows, they are deleted and
inserted with their numbers again, except where an equal row is there already.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from time import time
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, literal, select, update

from catdog.audit.log import record
from catdog.database import Database
from catdog.datasets.errors import ChangeNotFound, DatasetExists
from catdog.datasets.picture_files import Change, Kind
from catdog.datasets.rows import in_parts, keep_training, names, refuse_in_use, refuse_unknown, spellings
from catdog.errors import DatasetError
from catdog.names import checked_dataset_name, checked_label
from catdog.splits import SPLITS
from catdog.tables import changes, datasets, former_pictures, pictures
from catdog.webhooks.outbox import dataset_changed

DAY_SECONDS: Final = 86_400.0
KEY: Final = ("dataset", "sha256", "label", "split")  # no two rows are equal in all of these
COLUMNS: Final = tuple(column.name for column in pictures.columns)


class Changes:
    """The changes to the pictures in one database. Any number of processes may use it at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, dataset: str, kind: Kind, target: str = "", ids: Sequence[int] | None = None) -> Change:
        """Give these rows another class, split or data set, or delete them; numbers of other data sets are ignored.

        Without `ids` it concerns the whole data set, and raises DatasetInUse if a training needs it. A split is set for
        all rows of the same content. DatasetNotFound; DatasetError if the target isn't valid.
        """
        target = _checked(kind, target)
        with self._database.writing() as connection:
            refuse_unknown(connection, dataset)
            if ids is None:
                refuse_in_use(connection, dataset)
            change = _note(connection, dataset, kind, target, ids)
            if ids is None and kind in ("dataset", "delete") and target != dataset:
                connection.execute(delete(datasets).where(datasets.c.name == dataset))
            if ids is None or change.pictures:
                dataset_changed(connection, dataset, kind, target=change.target, pictures=change.pictures)
            return change

    def rename(self, dataset: str, name: str) -> Change:
        """Rename a data set; DatasetExists, DatasetInUse, DatasetNotFound."""
        checked_dataset_name(name)
        with self._database.writing() as connection:
            refuse_unknown(connection, dataset)
            refuse_in_use(connection, dataset)
            if name in names(connection):
                raise DatasetExists(name)
            connection.execute(update(datasets).where(datasets.c.name == dataset).values(name=name))
            change = _note(connection, dataset, "dataset", name, None)
            dataset_changed(connection, dataset, "dataset", target=name, pictures=change.pictures)
            return change

    def undo(self, change: int) -> Change:
        """Restore the pictures as they were before the change, also if they were changed again since.

        ChangeNotFound if it was undone or forgotten already.
        """
        with self._database.writing() as connection:
            found = _get(connection, changes.c.id == change, changes.c.undone_at.is_(None), number=change)
            touched = [*_classes(connection, change)]
            connection.execute(delete(pictures).where(_was(change)))
            _restore(connection, change)
            if found.dataset not in names(connection):  # it had no picture
                connection.execute(insert(datasets).values(name=found.dataset, created_at=time()))
            for dataset, label in touched:
                keep_training(connection, dataset, [label])
            connection.execute(delete(former_pictures).where(former_pictures.c.change == change))
            connection.execute(update(changes).where(changes.c.id == change).values(undone_at=time()))
            dataset_changed(connection, found.dataset, "undone", undone=found.kind, pictures=found.pictures)
            return _recorded(connection, change)

    def newest(self, limit: int) -> list[Change]:
        """At most `limit` changes that can be undone, the newest first."""
        query = select(changes).where(changes.c.undone_at.is_(None)).order_by(changes.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [Change(**row) for row in connection.execute(query).mappings()]

    def forget(self, days: float) -> int:
        """Forget changes that were made `days` or more days ago; returns their number. They can't be undone then."""
        old = select(changes.c.id).where(changes.c.made_at <= time() - days * DAY_SECONDS)
        with self._database.writing() as connection:
            connection.execute(delete(former_pictures).where(former_pictures.c.change.in_(old)))
            return connection.execute(delete(changes).where(changes.c.id.in_(old))).rowcount


def _checked(kind: Kind, target: str) -> str:
    """The target, normalised; DatasetError if it isn't valid for this kind of change."""
    match kind:
        case "label":
            return checked_label(target)
        case "dataset":
            return checked_dataset_name(target)
        case "split" if target not in SPLITS:
            raise DatasetError(f"there is no split {target!r}; choose {', '.join(SPLITS[:-1])} or {SPLITS[-1]}")
    return target


def _note(connection: Connection, dataset: str, kind: Kind, target: str, ids: Sequence[int] | None) -> Change:
    """Make the change, and note how to undo it."""
    if kind == "label":
        target = spellings(connection, dataset, [target])[target]
    values = {"dataset": dataset, "kind": kind, "target": target, "pictures": 0, "made_at": time()}
    (change,) = connection.execute(insert(changes).values(values).returning(changes.c.id)).one()
    _keep_rows(connection, change, dataset, kind, target, ids)
    count = connection.scalar(select(func.count()).where(former_pictures.c.change == change))
    connection.execute(update(changes).where(changes.c.id == change).values(pictures=count))
    touched = [*_classes(connection, change)]
    connection.execute(delete(pictures).where(_was(change)))
    if kind != "delete":
        _insert_changed(connection, change, kind, target)
        touched += _classes(connection, change)
    for place, label in touched:
        keep_training(connection, place, [label])
    return _recorded(connection, change)


def _keep_rows(
    connection: Connection, change: int, dataset: str, kind: Kind, target: str, ids: Sequence[int] | None
) -> None:
    """Copy the rows that the change makes different to `former_pictures`."""
    differs = literal(True) if kind == "delete" else pictures.c[kind] != target
    rows = select(literal(change), *pictures.columns).where(pictures.c.dataset == dataset, differs)
    into, columns = insert(former_pictures), ["change", *COLUMNS]
    if ids is None:
        connection.execute(into.from_select(columns, rows))
        return
    is_kept = exists().where(former_pictures.c.change == change, former_pictures.c.id == pictures.c.id)
    for some in in_parts(sorted(set(ids))):
        is_asked = pictures.c.id.in_(some)
        if kind == "split":  # it belongs to the content, so to all of its rows
            asked = pictures.alias()
            is_asked = pictures.c.sha256.in_(select(asked.c.sha256).where(asked.c.id.in_(some)))
        connection.execute(into.from_select(columns, rows.where(is_asked, ~is_kept)))


def _insert_changed(connection: Connection, change: int, kind: Kind, target: str) -> None:
    """Insert the former rows with the new value; of rows that become equal, the oldest."""
    mine = former_pictures.c.change == change
    if kind != "dataset":
        _insert_as(connection, mine, {kind: target})
        return
    labels = connection.scalars(select(former_pictures.c.label).where(mine).distinct()).all()
    for label, spelt in spellings(connection, target, labels).items():
        _insert_as(connection, and_(mine, former_pictures.c.label == label), {kind: target, "label": spelt})


def _insert_as(connection: Connection, meant: ColumnElement[bool], values: Mapping[str, str]) -> None:
    """Insert these former rows with other values."""
    new = {name: former_pictures.c[name] for name in COLUMNS} | {name: literal(values[name]) for name in values}
    same = [former_pictures.c[name] for name in KEY if name not in values]
    oldest = select(func.min(former_pictures.c.id)).where(meant).group_by(*same)
    is_there = exists().where(*(pictures.c[name] == new[name] for name in KEY))
    rows = select(*new.values()).where(meant, former_pictures.c.id.in_(oldest), ~is_there)
    connection.execute(insert(pictures).from_select(list(new), rows))


def _restore(connection: Connection, change: int) -> None:
    """Insert the former rows, with their numbers unless these are in use by now."""
    equal = exists().where(*(pictures.c[name] == former_pictures.c[name] for name in KEY))
    is_used = exists().where(pictures.c.id == former_pictures.c.id)
    rest = [name for name in COLUMNS if name != "id"]
    for columns, condition in ((list(COLUMNS), ~is_used), (rest, literal(True))):
        rows = select(*(former_pictures.c[name] for name in columns))
        rows = rows.where(former_pictures.c.change == change, ~equal, condition)
        connection.execute(insert(pictures).from_select(columns, rows))


def _was(change: int) -> ColumnElement[bool]:
    """Whether a row of `pictures` is one that the change concerned."""
    same = and_(former_pictures.c.id == pictures.c.id, former_pictures.c.sha256 == pictures.c.sha256)
    return exists().where(former_pictures.c.change == change, same)


def _classes(connection: Connection, change: int) -> Iterator[tuple[str, str]]:
    """The data sets and classes of the rows, as they were and as they are."""
    mine = former_pictures.c.change == change
    for table, condition in ((former_pictures, mine), (pictures, _was(change))):
        for row in connection.execute(select(table.c.dataset, table.c.label).where(condition).distinct()):
            yield row.dataset, row.label


def _recorded(connection: Connection, change: int) -> Change:
    """The change that was made or undone, recorded in the audit log."""
    made = _get(connection, changes.c.id == change, number=change)
    target = {made.kind: made.target} if made.target else {}
    record(connection, change=change, kind=made.kind, name=made.dataset, to=target or None, pictures=made.pictures)
    return made


def _get(connection: Connection, *conditions: ColumnElement[bool], number: int) -> Change:
    row = connection.execute(select(*(changes.c[field.name] for field in fields(Change))).where(*conditions)).first()
    if row is None:
        raise ChangeNotFound(number)
    return Change(**row._mapping)
