"""Counts a data set's pictures by split and class, in the database."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select, true

from catdog.datasets.picture_files import Picture
from catdog.splits import SPLITS
from catdog.tables import pictures

Counts = dict[str, dict[str, int]]  # by split, then by class
TRAIN: Final = SPLITS[0]


def counted(connection: Connection, dataset: str | None = None) -> tuple[dict[str, Counts], set[str]]:
    """The counts by data set, of one or of all; and the data sets whose counts may be wrong.

    Counts may be wrong if a split depends on more than the picture's own row: if another row of the same content has a
    different split that a person chose, or if a class has no training picture.
    """
    columns = pictures.c.dataset, pictures.c.split, pictures.c.drawn, pictures.c.label
    query = select(*columns, func.count()).where(_of(dataset)).group_by(*columns).order_by(*columns)
    counts: dict[str, Counts] = {}
    chosen: dict[str, set[bool]] = {}
    uncertain = set()
    for name, split, drawn, label, count in connection.execute(query):
        if not (split or drawn):  # written by an earlier version of catdog that is still running
            uncertain.add(name)
        add(counts.setdefault(name, {}), split or drawn or TRAIN, label, count)
        chosen.setdefault(name, set()).add(bool(split))
    uncertain |= {name for name, kinds in chosen.items() if len(kinds) == 2 and has_two_splits(connection, name)}
    return counts, uncertain | {name for name, by_split in counts.items() if _is_untrained(by_split)}


def _is_untrained(counts: Counts) -> bool:
    return any(set(by_label) - set(counts.get(TRAIN, ())) for by_label in counts.values())


def of_pictures(found: Iterable[Picture]) -> Counts:
    """The counts of these pictures."""
    counts: Counts = {}
    for picture in found:
        add(counts, picture.split, picture.label, 1)
    return counts


def add(counts: Counts, split: str, label: str, count: int) -> None:
    by_label = counts.setdefault(split, {})
    by_label[label] = by_label.get(label, 0) + count


def _of(dataset: str | None) -> ColumnElement[bool]:
    return true() if dataset is None else pictures.c.dataset == dataset


def has_two_splits(connection: Connection, dataset: str) -> bool:
    """Whether any content has a row with a chosen split and a row without one or with a different one."""
    other = pictures.alias()
    same = and_(other.c.dataset == dataset, other.c.sha256 == pictures.c.sha256, other.c.split != pictures.c.split)
    chosen = select(pictures.c.id).where(pictures.c.dataset == dataset, pictures.c.split != "", exists().where(same))
    return connection.scalar(chosen.limit(1)) is not None
