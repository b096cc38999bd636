"""The commands of `python -m training` for data sets and jobs of the service."""

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from catdog import cluster, exit_status
from catdog.database import Database
from catdog.datasets import folders
from catdog.datasets.datasets import Datasets
from catdog.datasets.layout import Layout, printable
from catdog.jobs.interruptions import end_with_stdin
from catdog.jobs.job import Kind
from catdog.versions.store import Store
from training.data.dataset import Photo

if TYPE_CHECKING:
    from catdog.jobs.worker import Run


def import_folder(arguments: Namespace) -> None:
    from training.data import service_datasets

    added, skipped, empty, renamed = service_datasets.import_folder(
        arguments.folder, _datasets(arguments), arguments.dataset
    )
    for file, reason in skipped.items():
        print(f"skipped {printable(str(file))}: {reason}", file=sys.stderr)
    for folder in empty:
        print(f"{printable(str(folder))} contains no picture", file=sys.stderr)
    for sent, label in renamed.items():
        print(f"{sent} is stored as {label}, the existing spelling in {arguments.dataset}", file=sys.stderr)
    new = sum(one.is_new for one in added)
    print(f"{new:,} pictures added to {arguments.dataset}; {len(added) - new:,} were already in it")


def doctor(arguments: Namespace) -> None:
    from training.data.checks import LeftOut, examine

    layout = None if arguments.data is None else folders.read(arguments.data)
    classes, splits = _to_examine(arguments, layout)
    store = Store(arguments.models)
    champion = store.open(store.champion())
    cache = arguments.data_dir / "features"
    findings = examine(classes, splits, champion.network(), cache)
    if layout is not None:
        reasons = dict.fromkeys(layout.without_files, "it contains no photo; a training would fail") | dict(
            layout.skipped
        )
        left_out = tuple(LeftOut(name=printable(str(place)), reason=reason) for place, reason in reasons.items())
        findings = findings.model_copy(update={"left_out": left_out})
    print(findings.model_dump_json(indent=2) if arguments.json else findings.table())
    if findings.findings and arguments.command != "doctor":  # the old name, in scripts that expect 0
        sys.stdout.flush()
        raise SystemExit(exit_status.FAILED)


def worker(arguments: Namespace) -> None:
    # Until the worker handles SIGTERM, after these imports: the first process of a container ignores it by default.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if arguments.end_with_stdin:
        end_with_stdin()
    if arguments.ray is not None:
        cluster.check_usable()
    from catdog.system.resources import default_threads, limit_process

    threads = arguments.threads or default_threads()
    limit_process(threads)  # before anything starts threads of its own
    from catdog.jobs.queue import Jobs
    from catdog.jobs.worker import Worker
    from training.worker import tracing

    kinds = (Kind.TRAINING, Kind.COMPARISON) if arguments.kind is None else (Kind(arguments.kind),)
    runs = {kind: _run(kind, arguments) for kind in kinds}
    jobs = Jobs(_database(arguments), *kinds)
    worker = Worker(
        jobs, lambda lease, *more: runs[lease.job.kind](lease, *more), arguments.data_dir, arguments.name, tracing.tell
    )
    if worker.work(arguments.until_idle):
        command = [sys.executable, "-m", "training", *sys.argv[1:], "--threads", str(threads)]
        os.execv(sys.executable, command)  # noqa: S606  # itself
    os._exit(0)  # a normal exit may abort the process, because TensorFlow's threads are still running


def _run(kind: Kind, arguments: Namespace) -> "Run":
    """What runs jobs of this kind; comparisons don't import what only trainings need."""
    from training.data.features import Compute, compute_here

    store, datasets, data_dir = Store(arguments.models), _datasets(arguments), arguments.data_dir
    compute: Compute = compute_here
    if arguments.ray is not None:
        from training.data.cluster_features import Computing

        compute = Computing(arguments.ray)
    if kind is Kind.COMPARISON:
        from training.worker.comparison_runner import ComparisonRunner

        return ComparisonRunner(store, datasets, data_dir, compute).run
    from training.worker.job_runner import Runner

    return Runner(store, datasets, data_dir, arguments.keep_versions, arguments.imagenet_weights, compute).run


def _to_examine(arguments: Namespace, layout: Layout | None) -> tuple[Sequence[str], Mapping[str, Sequence[Photo]]]:
    from training.data import service_datasets

    if layout is None:
        return service_datasets.photos(_datasets(arguments), arguments.dataset)
    return service_datasets.of_folder(arguments.data, layout)


def _database(arguments: Namespace) -> Database:
    return Database.of(Path(arguments.data_dir), arguments.database_url)


def _datasets(arguments: Namespace) -> Datasets:
    return Datasets(_database(arguments), Path(arguments.data_dir), arguments.pictures)
