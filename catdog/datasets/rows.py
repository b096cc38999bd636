"""Rules for the rows of pictures in the database, used within a writing transaction."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, func, select, union, update

from catdog.datasets.errors import DatasetInUse, DatasetNotFound
from catdog.names import folded
from catdog.splits import SPLITS, Dealt, by_content, deal
from catdog.tables import datasets, former_pictures, jobs, pictures

ROWS: Final = 500  # in one statement
FIRST: Final = 100  # pictures of a class; none of them is drawn into train with a probability of 0.2 ** 100
OPEN: Final = ("queued", "running")  # statuses of jobs that will read their data set

Item = TypeVar("Item")


def spellings(connection: Connection, dataset: str, asked: Iterable[str]) -> dict[str, str]:
    """The stored label for each requested one: the oldest existing label that differs only in case."""
    query = select(pictures.c.label).where(pictures.c.dataset == dataset).group_by(pictures.c.label)
    exactly = list(connection.scalars(query.order_by(func.min(pictures.c.id))))
    alike: dict[str, str] = {}
    for label in exactly:
        alike.setdefault(folded(label), label)
    return {label: label if label in exactly else alike.setdefault(folded(label), label) for label in asked}


def known(connection: Connection, dataset: str, digests: Sequence[str]) -> dict[str, set[tuple[str, str]]]:
    """The labels and chosen splits of these contents in a data set, by sha256."""
    found: dict[str, set[tuple[str, str]]] = {}
    query = select(pictures.c.sha256, pictures.c.label, pictures.c.split).where(pictures.c.dataset == dataset)
    for some in in_parts(digests):
        for digest, label, split in connection.execute(query.where(pictures.c.sha256.in_(some))):
            found.setdefault(digest, set()).add((label, split))
    return found


def last_split(chosen: Iterable[str]) -> str:
    """The split of a content with these chosen splits: the last in the order of splits, "" without any."""
    return max((split for split in chosen if split), key=SPLITS.index, default="")


def labels_of(connection: Connection, dataset: str, digests: Collection[str]) -> dict[str, None]:
    """The labels of these contents in a data set."""
    there = known(connection, dataset, list(digests))
    return dict.fromkeys(label for rows in there.values() for label, _ in rows)


def labels_by_dataset(connection: Connection, sha256: str) -> dict[str, set[str]]:
    """The labels of a content by data set, also where a change that can be undone removed it."""
    found: dict[str, set[str]] = {}
    for table in (pictures, former_pictures):
        for dataset, label in connection.execute(
            select(table.c.dataset, table.c.label).where(table.c.sha256 == sha256).distinct()
        ):
            found.setdefault(dataset, set()).add(label)
    return found


def keep_training(connection: Connection, dataset: str, labels: Iterable[str]) -> set[str]:
    """For each of these classes without a training picture, store one as such; returns the sha256 of the moved ones.

    Looking at the first pictures of a class is enough, because this runs whenever pictures are added or removed.
    """
    moved: set[str] = set()
    for label in labels:
        query = select(pictures.c.sha256, pictures.c.split).where(
            pictures.c.dataset == dataset, pictures.c.label == label, pictures.c.split.in_(["", SPLITS[0]])
        )
        rows = connection.execute(query.order_by(pictures.c.id).limit(FIRST)).all()
        dealt = deal(Dealt(digest, label, split or None) for digest, split in rows)
        if all(split != SPLITS[0] and by_content(digest) != SPLITS[0] for digest, split in rows):
            moved.update(digest for digest, split in dealt.items() if split == SPLITS[0])
    for digest in moved:
        connection.execute(
            update(pictures).where(is_content(dataset, digest), pictures.c.split == "").values(split=SPLITS[0])
        )
    return moved


def in_parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), ROWS):
        yield items[start : start + ROWS]


def is_content(dataset: str, sha256: str) -> ColumnElement[bool]:
    return and_(pictures.c.dataset == dataset, pictures.c.sha256 == sha256)


def names(connection: Connection) -> tuple[str, ...]:
    """The data sets that have a picture or were created, in alphabetical order."""
    return tuple(sorted(connection.scalars(union(select(pictures.c.dataset), select(datasets.c.name)))))


def refuse_unknown(connection: Connection, dataset: str) -> None:
    """DatasetNotFound unless there is such a data set."""
    is_there = select(pictures.c.id).where(pictures.c.dataset == dataset).limit(1)
    if connection.scalar(is_there) is None and dataset not in (there := names(connection)):
        raise DatasetNotFound(dataset, there)


def referred_to(connection: Connection, is_meant: Callable[[ColumnElement[str]], ColumnElement[bool]]) -> set[str]:
    """The sha256, of those that are meant, that a picture or a change that can be undone refers to."""
    columns = pictures.c.sha256, former_pictures.c.sha256
    return {digest for column in columns for digest in connection.scalars(select(column).where(is_meant(column)))}


def unreferenced(connection: Connection, digests: Collection[str]) -> set[str]:
    """Those of these sha256, few enough for one statement, that nothing refers to."""
    return set(digests) - referred_to(connection, lambda sha256: sha256.in_(digests))


def refuse_in_use(connection: Connection, dataset: str) -> None:
    """DatasetInUse if a training on the data set is queued or running."""
    for job, request, status in connection.execute(
        select(jobs.c.id, jobs.c.request, jobs.c.status).where(jobs.c.status.in_(OPEN))
    ):
        if request.get("dataset") == dataset:
            raise DatasetInUse(dataset, job, status)
