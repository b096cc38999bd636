"""Tables that list photos: CSV and Parquet files with a column of paths and URLs."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from catdog.errors import CatdogError

SUFFIXES: Final = (".csv", ".parquet")
COLUMN: Final = "path"  # by default: as in results of `catdog classify`
ROWS: Final = 1_000  # of a Parquet file that are read at a time


class ListError(CatdogError):
    """A table that can't be read as a list of photos."""


def is_list(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def check(path: Path, column: str = COLUMN) -> None:
    """Raise ListError unless the table has this column; ImportError if its library is missing."""
    names = _parquet_columns(path) if path.suffix.lower() == ".parquet" else _csv_columns(path)
    if column not in names:
        raise ListError(
            f"{path} has no column {column!r}; choose one with --column: {', '.join(names) or 'it is empty'}"
        )


def values(path: Path, column: str = COLUMN) -> Iterator[str]:
    """The values of the column that aren't empty, in order: a few rows are in memory at a time."""
    found = _of_parquet(path, column) if path.suffix.lower() == ".parquet" else _of_csv(path, column)
    yield from (value for value in found if value)


def _csv_columns(path: Path) -> Sequence[str]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        return csv.DictReader(file).fieldnames or []


def _of_csv(path: Path, column: str) -> Iterator[str | None]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        try:
            yield from (row[column] for row in csv.DictReader(file))
        except csv.Error as error:
            raise ListError(f"{path} is no CSV ({error})") from error


def _parquet_columns(path: Path) -> Sequence[str]:
    from pyarrow import ArrowException, parquet

    try:
        names: Sequence[str] = parquet.read_schema(path).names
    except ArrowException as error:
        raise ListError(f"{path} is no Parquet file ({error})") from error
    return names


def _of_parquet(path: Path, column: str) -> Iterator[str | None]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as table:
        for rows in table.iter_batches(ROWS, columns=[column]):
            yield from (None if value is None else str(value) for value in rows.column(0).to_pylist())
