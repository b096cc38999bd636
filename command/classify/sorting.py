"""Sorts the classified photos into a folder for each class: copied, linked or moved."""

import os
import shutil
from collections.abc import Callable
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Final

from app.classification.journal import Journal, Row
from app.classification.results import Table
from catdog.errors import CatdogError
from catdog.system.failpoints import failpoint

UNKNOWN: Final = "unknown"  # folder of the photos that look like none of the classes


class How(StrEnum):
    """What happens to a photo: a link is a symbolic one."""

    COPY = "copy"
    LINK = "link"
    MOVE = "move"


class SortingError(CatdogError):
    """Photos that can't be sorted."""


def sort(journal: Journal, folder: Path, how: How, table: Table, read: Callable[[str], bytes]) -> int:
    """Sort every photo that has an answer, and return how many were; `read` gives the bytes of one in a ZIP.

    Where each photo goes is in the journal before the first one is touched. So after a kill the same call finishes the
    rest: a photo at its destination is done.
    """
    for row in journal.rows():
        if row.probabilities is not None and journal.destination(row.path) is None:
            journal.set_destination(row.path, _free(journal, folder / _class_of(row, table), Path(row.path).name))
    journal.commit()
    failpoint("sort.decided")
    sorted_photos = 0
    for row in journal.rows():
        if (destination := journal.destination(row.path)) is not None:
            _transfer(row, Path(destination), how, read)
            sorted_photos += 1
            failpoint("sort.transferred")
    return sorted_photos


def _class_of(row: Row, table: Table) -> str:
    return UNKNOWN if table.is_unknown(row) else table.label(row.probabilities or [])[0]


def _free(journal: Journal, folder: Path, name: str) -> str:
    """A path in the folder that no file and no other photo has: of a second `a.jpg` `a-2.jpg`."""
    path = Path(name)
    for number in count(1):
        found = folder / (name if number == 1 else f"{path.stem}-{number}{path.suffix}")
        if not os.path.lexists(found) and not journal.is_destination(str(found)):
            return str(found)
    raise AssertionError("a number is always free")


def _transfer(row: Row, destination: Path, how: How, read: Callable[[str], bytes]) -> None:
    source = Path(row.path)
    if os.path.lexists(destination):
        if how is How.MOVE and row.is_file and source.exists() and not source.samefile(destination):
            source.unlink()  # a move to another disk was stopped after the copy
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    aside = destination.with_name(f".{destination.name}.new")
    if not row.is_file:
        aside.write_bytes(read(row.path))
    elif how is How.LINK:
        aside.unlink(missing_ok=True)
        aside.symlink_to(source.absolute())
    elif how is How.MOVE and source.stat().st_dev == destination.parent.stat().st_dev:
        source.replace(destination)
        return
    else:
        shutil.copy2(source, aside)
    aside.replace(destination)
    if how is How.MOVE and row.is_file:
        source.unlink()
