"""Checks that everything a service acknowledged is on its disk."""

import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from app.serving import photo_files
from app.serving.prediction_log import FOLDER as UPLOADS
from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.datasets.picture_files import FOLDER as PICTURES
from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from catdog.versions.store import Store

STAYS = {".lock", ".last", ".database"}  # hidden files that are no leftovers
UNFINISHED = (".new", ".tmp", ".copy")  # without SQLite's journal, which its next write handles


@dataclass
class Acknowledged:
    """What the service acknowledged. `maybe` are requests without an answer. Pictures are named by their sha256."""

    there: set[str] = field(default_factory=set)
    maybe_there: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    champion: int = 1
    maybe_champions: set[int] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)

    def came(self, acknowledged: bool, *pictures: str) -> bool:
        if acknowledged:
            self.there.update(pictures)
            self.maybe_there.difference_update(pictures)
        return acknowledged

    def goes(self, picture: str) -> None:
        """The picture is about to be removed."""
        self.maybe_there.add(picture)
        self.there.discard(picture)

    def went(self, acknowledged: bool, picture: str) -> bool:
        if acknowledged:
            self.gone.add(picture)
            self.maybe_there.discard(picture)
        return acknowledged

    def settle(self, folder: Path) -> None:
        """After a restart resolve `maybe`: what exists must stay, what doesn't must not appear."""
        rows = _rows(folder)
        self.there |= self.maybe_there & rows
        self.gone |= self.maybe_there - rows
        self.maybe_there.clear()
        self.champion, self.maybe_champions = Store(folder / "models").champion(), set()


@dataclass(frozen=True)
class Findings:
    """Problems by kind: the names of lost, reappeared and left-over items."""

    lost: list[str]
    returned: list[str]
    damaged: list[str]
    left: list[str]

    def sentences(self) -> list[str]:
        kinds = {"lost": self.lost, "came back": self.returned, "damaged": self.damaged, "left over": self.left}
        return [f"{len(names)} {kind}: {', '.join(names[:5])}" for kind, names in kinds.items() if names]


def examine(folder: Path, noted: Acknowledged, is_clear: bool = True) -> Findings:
    """Compare the folder with `noted`; without `is_clear` files may be left over, as right after a kill."""
    rows = _rows(folder)
    store = Store(folder / "models")
    lost = sorted(noted.there - rows)
    if store.champion() not in {noted.champion, *noted.maybe_champions}:
        lost.append(f"the champion {noted.champion}, which is {store.champion()}")
    database = Database.of(folder / "data")
    jobs = {job.id: job.status for job in Jobs(database).newest(100_000)}
    database.close()
    lost += [f"job {job}" for job in noted.jobs - set(jobs)]
    lost += [f"the cancellation of {job}" for job in noted.cancelled if jobs.get(job) is not Status.CANCELLED]
    files = {path.name: path for path in (folder / "data" / PICTURES).glob("??/*")}
    damaged = [name for name in sorted(rows) if name not in files or not _is_whole(files[name])]
    return Findings(lost, sorted(noted.gone & rows), damaged, _left(folder, rows, files) if is_clear else [])


def _rows(folder: Path) -> set[str]:
    database = Database.of(folder / "data")
    datasets = Datasets(database, folder / "data")
    found = {picture.sha256 for name in datasets.names() for picture in datasets.pictures(name)}
    database.close()
    return found


def _is_whole(picture: Path) -> bool:
    return sha256(picture.read_bytes()).hexdigest() == picture.name


def _left(folder: Path, rows: set[str], files: dict[str, Path]) -> list[str]:
    """Pictures without a row, drafts, and hidden or unfinished files."""
    half = [path.name for path in (folder / "data" / UPLOADS).glob("*") if not _is_complete(path)]
    return [*sorted(set(files) - rows), *half, *_hidden(folder)]


def _is_complete(photos: Path) -> bool:
    """Whether a file of kept photos has at least one, and ends with one."""
    *_, last = (0, *(record.end for record in photo_files.records(photos)))
    return 0 < last == photos.stat().st_size


def _hidden(folder: Path) -> list[str]:
    """Hidden entries and those named like unfinished files, with their contents."""
    return [
        str((Path(root) / name).relative_to(folder))
        for root, folders, names in os.walk(folder)  # ignores entries that disappear in the meantime
        for name in (*folders, *names)
        if (name.startswith(".") and name not in STAYS) or name.endswith(UNFINISHED)
    ]
