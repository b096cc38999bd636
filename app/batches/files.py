"""The files of batches, below `batches` in the data folder.

batches/<id>/archive         the uploaded ZIP, until the batch has ended
rows.journal    the rows so far, until then
result.csv, result.jsonl
"""

import shutil
from pathlib import Path
from time import time
from typing import Final

from catdog.system import durable

FOLDER: Final = "batches"
INCOMING: Final = ".incoming-"
ARCHIVE: Final = "archive"
JOURNAL: Final = "rows.journal"
ENDINGS: Final = ("csv", "jsonl")
ABANDONED_SECONDS: Final = 86_400.0  # then a folder without a batch was left by a process that was killed


def folder_of(data_dir: Path, batch: str) -> Path:
    return data_dir / FOLDER / batch


def result(folder: Path, ending: str) -> Path:
    """The result of a batch that has succeeded, as CSV or JSON Lines."""
    return folder / f"result.{ending}"


def place(zipped: Path, folder: Path) -> None:
    """Move an uploaded ZIP into the new folder of its batch; it is on the disk then."""
    folder.mkdir()
    durable.sync(zipped)
    zipped.replace(folder / ARCHIVE)
    durable.sync(folder)
    durable.sync(folder.parent)


def remove_inputs(folder: Path) -> None:
    """Remove what only a batch that hasn't ended needs."""
    for file in (ARCHIVE, JOURNAL, f"{JOURNAL}-journal"):
        (folder / file).unlink(missing_ok=True)


def sweep(data_dir: Path, known: set[str], is_open: set[str]) -> None:
    """Remove the folders of batches that aren't known, and what ended ones no longer need."""
    root = data_dir / FOLDER
    durable.sweep(root, INCOMING)
    for folder in root.glob("[0-9a-f]*/"):
        if folder.name in known and folder.name not in is_open:
            remove_inputs(folder)
        elif folder.name not in known and time() - folder.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
