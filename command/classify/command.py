"""`catdog classify`: a table of what many photos show."""

import json as encoding
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from app.classification.journal import ENDING, Journal, JournalError, remove
from app.classification.results import ResultError, Table, check, write
from catdog import exit_status
from catdog.system.failpoints import failpoint
from command.classify.lists import COLUMN
from command.classify.sorting import How, SortingError, sort
from command.classify.sources import Sources
from command.options import Json

if TYPE_CHECKING:
    from app.classification.photos import Photo
    from catdog.versions.manifest import Manifest


@dataclass(frozen=True)
class Classification:
    """What to classify, and what to make of it: the arguments of the command."""

    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders, photos, globs in quotes, ZIPs, TARs, CSV or Parquet files with a column of paths, URLs"
            " (s3://, gs://, az://); - for a list on standard input.",
        ),
    ]
    to: Annotated[Path, typer.Option(metavar="FILE", help="The result: .csv, .jsonl or .parquet.")]
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Probability below which a photo is unknown as well.")
    ] = 0.0
    column: Annotated[str, typer.Option(metavar="NAME", help="The column of tables that list photos.")] = COLUMN
    top_k: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Columns for the K most probable classes instead of every class."),
    ] = None
    explain_to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw there where in each photo its class is seen.")
    ] = None
    sort_into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Sort the photos into a folder for each class.")
    ] = None
    sort_by: Annotated[How, typer.Option(help="What that does to a photo.")] = How.COPY
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Run on this Ray cluster: host:port, or auto for the one of this machine."
        ),
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing result.")] = False
    json: Json = False


def classify(asked: Classification) -> None:
    """Say what many photos show: catdog classify ~/Pictures --to pets.csv

    After Ctrl-C or a kill, the same command continues. A file that can't be read is a row with its error.
    """
    check(asked.to)
    path = _journal_of(asked)
    began = monotonic()
    found = Sources(tuple(asked.sources), sys.stdin, asked.column)
    if asked.ray is not None and (asked.sort_into or asked.explain_to) is not None:
        raise typer.BadParameter("--sort-into and --explain-to don't work with --ray")
    table = Table((), 0, asked.threshold, asked.top_k, asked.explain_to)
    with _resumable(path):
        if asked.ray is not None:
            rows, errors, version = _on_cluster(asked.ray, found, asked.to, path, table)
        else:
            rows, errors, version = _here(asked, found, path, table)
    summary = {"result": str(asked.to), "rows": rows, "errors": errors, "skipped": found.skipped, "version": version}
    _report(summary | {"seconds": round(monotonic() - began, 3)}, asked.json)


def _journal_of(asked: Classification) -> Path:
    """The journal of a result; ResultError if the result exists, complete, and may not be replaced.

    JournalError if it was begun on a cluster and isn't continued there, or the other way round.
    """
    to, path = asked.to, asked.to.with_name(asked.to.name + ENDING)
    if path.exists() and path.is_dir() != (asked.ray is not None):
        how = "with" if path.is_dir() else "without"
        raise JournalError(f"{path} was begun {how} --ray; continue so, or remove it")
    if to.exists() and not path.exists() and not asked.overwrite:
        raise ResultError(f"{to} exists already; remove it, or replace it with --overwrite")
    return path


def _here(asked: Classification, sources: Sources, path: Path, table: Table) -> tuple[int, int, int]:
    """Classify on this machine, and return the numbers of rows and errors and the version."""
    _refuse_inside(sources, asked.sort_into)
    if table.explain_to is not None:
        table.explain_to.mkdir(parents=True, exist_ok=True)
    with _interruptible() as stop_if_interrupted, Journal(path) as journal:
        manifest = _fill(journal, sources, table.explain_to, stop_if_interrupted)
        table = table._replace(classes=manifest.classes, version=manifest.version)
        failpoint("classify.answered")
        write(asked.to, journal.rows(), table)
        failpoint("classify.written")
        if asked.sort_into is not None:
            sort(journal, asked.sort_into, asked.sort_by, table, sources.read)
        rows, errors = journal.count()
    remove(path)
    return rows, errors, table.version


def _on_cluster(address: str, sources: Sources, to: Path, journal: Path, table: Table) -> tuple[int, int, int]:
    """Classify on a Ray cluster, and return the numbers of rows and errors and the version; ClusterError."""
    from command.classify import cluster

    cluster.check(to, address)
    if not journal.exists() and to.exists():  # it may be replaced
        shutil.rmtree(to) if to.is_dir() else to.unlink()
    counted = cluster.classify(address, sources.photos(), to, journal, table)
    shutil.rmtree(journal)
    return counted


def _refuse_inside(sources: Sources, sort_into: Path | None) -> None:
    if sort_into is not None and sources.contains(sort_into):
        raise SortingError(f"{sort_into} lies in a source; sort into a folder outside of it")


@contextmanager
def _resumable(path: Path) -> Iterator[None]:
    """Say that the same command continues with the journal at `path`, if it is stopped or its disk is full."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise JournalError(f"{path}: {error}; the same command continues") from error
    except KeyboardInterrupt:
        typer.echo(f"\ncatdog: stopped; the same command continues, with what is in {path}", err=True)
        raise typer.Exit(exit_status.STOPPED) from None


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Ctrl-C raises KeyboardInterrupt here; the function that is yielded raises it again if a library swallowed it."""
    is_interrupted = False

    def interrupt(number: int = 0, frame: FrameType | None = None) -> NoReturn:
        nonlocal is_interrupted
        is_interrupted = True
        raise KeyboardInterrupt

    def stop_if_interrupted() -> None:
        if is_interrupted:
            interrupt()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop_if_interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _fill(
    journal: Journal, sources: Sources, explain_to: Path | None, stop_if_interrupted: Callable[[], None]
) -> "Manifest":
    """Classify the photos that aren't in the journal yet, all by the version with which it was begun.

    Returns its manifest. `stop_if_interrupted` is called after each photo.
    """
    from app.processes.assembly import shortened_imports

    with shortened_imports():
        from app.classification import continuing
        from app.serving import os_tuning
        from command import local_model

        os_tuning.limit_arenas()
        os_tuning.keep_memory()
        settings = local_model.settings()
        model = continuing.begun(journal, settings, explain_to)
    with _progress(sources.count) as counted:
        for _ in continuing.fill(journal, counted(sources.photos()), model, settings, explain_to):
            stop_if_interrupted()
    stop_if_interrupted()
    return model.manifest


@contextmanager
def _progress(count: Callable[[], int | None]) -> Iterator[Callable[[Iterable["Photo"]], Iterator["Photo"]]]:
    """Counts photos on a terminal; elsewhere nothing is imported for it, and nothing is done for a photo."""
    if not sys.stderr.isatty():
        yield iter
        return
    from command.classify import progress

    with progress.shown(count) as counted:
        yield counted


def _report(summary: dict[str, Any], json: bool) -> None:
    if json:
        typer.echo(encoding.dumps(summary))
        return
    errors = f", {summary['errors']:,} of them with an error" if summary["errors"] else ""
    typer.echo(f"{summary['result']}: {summary['rows']:,} photos{errors}, in {summary['seconds']:.1f} s")
    if summary["skipped"]:
        typer.echo(f"{summary['skipped']:,} files in folders and archives are no photos", err=True)
