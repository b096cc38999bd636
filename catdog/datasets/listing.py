"""Lists the pictures of a data set in parts, for clients that show or read very many."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import islice

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from catdog.database import Database
from catdog.datasets.counts import TRAIN, has_two_splits
from catdog.datasets.picture_files import Filter, Listed
from catdog.datasets.rows import in_parts, refuse_unknown
from catdog.splits import SPLITS
from catdog.tables import pictures


class Listing:
    """The pictures of the data sets in one database; every method raises DatasetNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ids(self, dataset: str, wanted: Filter, below: int | None = None, limit: int | None = None) -> list[int]:
        """The numbers of these pictures, at most `limit`, the newest first unless `wanted.contents` gives the order.

        Without contents there may be only numbers `below` another one.
        """
        with self._database.reading() as connection:
            refuse_unknown(connection, dataset)
            query = select(pictures.c.id).where(
                pictures.c.dataset == dataset, *_conditions(connection, dataset, wanted)
            )
            if wanted.contents is None:
                if below is not None:
                    query = query.where(pictures.c.id < below)
                return list(connection.scalars(query.order_by(pictures.c.id.desc()).limit(limit)))
            return list(islice(_in_order(connection, query, wanted.contents), limit))

    def page(self, dataset: str, wanted: Filter, after: int | None, limit: int) -> tuple[list[Listed], int | None]:
        """At most `limit` pictures, from the one after that number; and the number to go on after, None at the end."""
        if wanted.contents is None:
            ids = self.ids(dataset, wanted, below=after, limit=limit + 1)
        else:
            ids = self.ids(dataset, wanted, limit=limit + 1 if after is None else None)
            ids = ids[ids.index(after) + 1 :] if after in ids else ids
        return self.of_ids(dataset, ids[:limit]), ids[limit - 1] if len(ids) > limit else None

    def of_ids(self, dataset: str, ids: Sequence[int]) -> list[Listed]:
        """The pictures with these numbers, in this order; numbers that the data set doesn't have are left out."""
        found: dict[int, Listed] = {}
        with self._database.reading() as connection:
            refuse_unknown(connection, dataset)
            split = _split(connection, dataset).label("split")
            columns = [pictures.c[field.name] for field in fields(Listed) if field.name != "split"]
            query = select(*columns, split).where(pictures.c.dataset == dataset)
            for some in in_parts(ids):
                rows = connection.execute(query.where(pictures.c.id.in_(some)))
                found |= {row.id: Listed(**row._mapping) for row in rows}
        return [found[number] for number in ids if number in found]

    def contents(self, dataset: str) -> dict[str, str]:
        """The label of every content, the newest if it has several."""
        query = select(pictures.c.sha256, pictures.c.label).where(pictures.c.dataset == dataset)
        with self._database.reading() as connection:
            refuse_unknown(connection, dataset)
            return dict(connection.execute(query.order_by(pictures.c.id)).all())


def _in_order(connection: Connection, query: Select[tuple[int]], contents: Sequence[str]) -> Iterator[int]:
    """The numbers of the pictures of a query that have these contents, in the order of the contents."""
    place = {content: number for number, content in enumerate(contents)}
    for some in in_parts(list(place)):
        rows = connection.execute(query.add_columns(pictures.c.sha256).where(pictures.c.sha256.in_(some)))
        yield from (number for _, number in sorted((place[row.sha256], row.id) for row in rows))


def _conditions(connection: Connection, dataset: str, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.label is not None:
        conditions.append(pictures.c.label == wanted.label)
    if wanted.split is not None:
        conditions.append(_split(connection, dataset) == wanted.split)
    return conditions


def _split(connection: Connection, dataset: str) -> ColumnElement[str]:
    """The split of a row as `Datasets.pictures` gives it.

    A row without a chosen split has the last one of the other rows of its content, if any. Few data sets have such
    rows, so that they are looked for only there.
    """
    is_chosen, drawn = pictures.c.split != "", func.coalesce(pictures.c.drawn, TRAIN)
    if not has_two_splits(connection, dataset):
        return case((is_chosen, pictures.c.split), else_=drawn)
    other = pictures.alias()
    places = case({split: place for place, split in enumerate(SPLITS)}, value=other.c.split)
    same = other.c.dataset == pictures.c.dataset, other.c.sha256 == pictures.c.sha256, other.c.split != ""
    last = select(func.max(places)).where(*same).correlate(pictures).scalar_subquery()
    of_content = case(dict(enumerate(SPLITS)), value=last, else_=drawn)
    return case((is_chosen, pictures.c.split), else_=of_content)
