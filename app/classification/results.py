"""Writes the result: CSV, JSON Lines or Parquet, by the ending of its name."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from app.classification.journal import Row
from catdog.datasets.layout import printable
from catdog.errors import CatdogError
from catdog.system import durable

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Schema

BEFORE, AFTER = ("path", "label", "probability"), ("unknown", "version", "error")
EXPLANATION: Final = "explanation"
DIGITS: Final = 12  # of the sha256 of a path: photos of the same name have different files
GROUP_ROWS: Final = 2_000  # of a Parquet file, which are in memory together


def file_of(folder: Path, path: str) -> Path:
    """The file with the explanation of a photo, by its path in the result."""
    digest = sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
    return folder / f"{PurePath(path).stem[:100]}-{digest}.png"


class ResultError(CatdogError):
    """A result that can't be written."""


class Table(NamedTuple):
    """How rows become columns. A photo whose probability is below `threshold` is unknown as well.

    With `top` the columns are the most probable classes, this number at most, instead of every class. With `explain_to`
    there is a column for the pictures in that folder.
    """

    classes: tuple[str, ...]
    version: int
    threshold: float
    top: int | None = None
    explain_to: Path | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """One for each class, by its name; `class_path` if that is the name of another column."""
        after = AFTER if self.explain_to is None else (*AFTER, EXPLANATION)
        if self.top is not None:
            return (*BEFORE, *(f"{name}_{rank}" for rank in self._ranks for name in BEFORE[1:]), *after)
        own = (f"class_{name}" if name in BEFORE + after else name for name in self.classes)
        return (*BEFORE, *own, *after)

    @property
    def texts(self) -> frozenset[str]:
        """The columns that hold text; the others hold numbers."""
        explanation = () if self.explain_to is None else (EXPLANATION,)
        return frozenset({"path", "label", "error", *explanation, *(f"label_{rank}" for rank in self._ranks)})

    @property
    def _ranks(self) -> range:
        return range(2, min(self.top or 1, len(self.classes)) + 1)

    def values(self, row: Row) -> list[Any]:
        """The values of the columns; those of a photo with an error are None."""
        if row.probabilities is None:
            empty = len(self.columns) - len(BEFORE) - len(AFTER) - (self.explain_to is not None)
            found: list[Any] = [row.path, None, None, *[None] * empty, None, self.version, row.error]
            return found if self.explain_to is None else [*found, None]
        label, probability = self.label(row.probabilities)
        middle = row.probabilities if self.top is None else self._others(row.probabilities)
        found = [row.path, label, probability, *middle, self.is_unknown(row), self.version, None]
        return found if self.explain_to is None else [*found, str(file_of(self.explain_to, row.path))]

    def _others(self, probabilities: Sequence[float]) -> Iterator[Any]:
        """The name and the probability of each class after the most probable one, in this order."""
        places = sorted(range(len(probabilities)), key=lambda place: -probabilities[place])
        for place in places[1 : self._ranks.stop - 1]:
            yield self.classes[place]
            yield probabilities[place]

    def label(self, probabilities: Sequence[float]) -> tuple[str, float]:
        """The most probable class, the first of several, and its probability."""
        place = max(range(len(probabilities)), key=probabilities.__getitem__)
        return self.classes[place], probabilities[place]

    def is_unknown(self, row: Row) -> bool:
        return row.is_unknown or max(row.probabilities or [0.0]) < self.threshold


def check(path: Path) -> None:
    """Raise ResultError or ImportError if no such result can be written."""
    if path.suffix.lower() not in _WRITERS:
        raise ResultError(f"{path}: the ending says how the result is written; use {', '.join(_WRITERS)}")
    if not path.absolute().parent.is_dir():
        raise ResultError(f"{path}: there is no folder {path.absolute().parent}; create it first")
    if path.suffix.lower() == PARQUET:
        import pyarrow.parquet  # noqa: F401


def write(path: Path, rows: Iterable[Row], table: Table) -> None:
    """Write the whole result, or leave the previous file as it is."""
    aside = path.with_name(f".{path.name}.new")
    try:
        _WRITERS[path.suffix.lower()](aside, (table.values(row) for row in rows), table)
        durable.sync(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    durable.sync(path.absolute().parent)


def _write_csv(path: Path, rows: Iterator[list[Any]], table: Table) -> None:
    """A name that isn't UTF-8 keeps its bytes."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows([str(value).lower() if isinstance(value, bool) else value for value in row] for row in rows)


def _write_json_lines(path: Path, rows: Iterator[list[Any]], table: Table) -> None:
    columns = table.columns
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)


def _write_parquet(path: Path, rows: Iterator[list[Any]], table: Table) -> None:
    from pyarrow import parquet

    with parquet.ParquetWriter(path, _schema(table)) as writer:
        while group := list(islice(rows, GROUP_ROWS)):
            writer.write_batch(_batch(group, table))


def record_batch(rows: Iterable[Row], table: Table) -> "RecordBatch":
    """At least one row as Arrow has them. A name that isn't UTF-8 is shown with escapes."""
    return _batch([table.values(row) for row in rows], table)


def _batch(rows: list[list[Any]], table: Table) -> "RecordBatch":
    import pyarrow as pa

    for row in rows:
        row[0] = printable(row[0])
    schema = _schema(table)
    columns = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), schema.types, strict=True)]
    return pa.record_batch(columns, schema=schema)


def _schema(table: Table) -> "Schema":
    import pyarrow as pa

    others = {"unknown": pa.bool_(), "version": pa.int64()} | dict.fromkeys(table.texts, pa.string())
    return pa.schema([(name, others.get(name, pa.float64())) for name in table.columns])


PARQUET: Final = ".parquet"
_WRITERS: Final[dict[str, Callable[[Path, Iterator[list[Any]], Table], None]]] = {
    ".csv": _write_csv,
    ".jsonl": _write_json_lines,
    PARQUET: _write_parquet,
}
