"""Runs one training job, from stored pictures to a version."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from catdog.datasets.datasets import Datasets
from catdog.errors import DatabaseUnavailable, DatasetError, StoreError, StoreUnavailable
from catdog.jobs.errors import LeaseLost
from catdog.jobs.interruptions import Interrupted, Interruptions, Reason
from catdog.jobs.job import Status
from catdog.jobs.queue import Lease
from catdog.versions.manifest import Decision, Manifest
from catdog.versions.store import Store, Version
from catdog.webhooks import champions
from training.data import checks, service_datasets
from training.data.checks import Findings, Splits, caution
from training.data.dataset import Dataset
from training.data.features import Compute, compute_here
from training.fitting import backbones
from training.fitting.config import Config
from training.fitting.recipes import of_strategy
from training.publishing.pipeline import Outcome, Request, promote, train
from training.worker.job_observer import JobObserver

PHOTOS_REPORTED: Final = 100  # of one finding; the log lists more

# Where each phase begins and ends in the overall progress. Examining comes first and computes the features of new
# photos; the phase features computes them again only with another backbone than the champion's. Other phases, such as
# a download, aren't counted.
SHARES: Final[Mapping[str, Mapping[str, tuple[float, float]]]] = {
    "head": {
        "examining": (0.0, 0.5),
        "features": (0.5, 0.8),
        "fitting": (0.8, 0.9),
        "measuring": (0.9, 0.95),
        "publishing": (0.95, 1.0),
    },
    "finetune": {
        "examining": (0.0, 0.1),
        "fitting": (0.1, 0.85),
        "quantizing": (0.85, 0.9),
        "measuring": (0.9, 0.98),
        "publishing": (0.98, 1.0),
    },
    "compress": {
        "examining": (0.0, 0.03),
        "features": (0.03, 0.25),
        "fitting": (0.25, 0.93),
        "quantizing": (0.93, 0.95),
        "measuring": (0.95, 0.98),
        "publishing": (0.98, 1.0),
    },
}


@dataclass(frozen=True)
class Runner:
    """Runs jobs with one data folder and one model store; the newest `keep_versions` versions are kept.

    `imagenet_weights` is a file with ImageNet's VGG16, used instead of downloading one. `compute` computes features of
    photos.
    """

    store: Store
    datasets: Datasets
    data_dir: Path
    keep_versions: int
    imagenet_weights: Path | None = None
    compute: Compute = compute_here

    def run(self, lease: Lease, interruptions: Interruptions) -> None:
        """Run the job to its end; an exception means that it failed."""

        @contextmanager
        def within() -> Iterator[None]:
            """Publishing and promoting aren't interrupted, and only the worker that holds the job does them."""
            with (
                interruptions.shielded(),
                lease.held() as connection,
                champions.recorded(connection, self.store.champions),
            ):
                yield

        request = lease.job.request
        published, said = self._published(lease.job.id), lease.job.progress
        if published is None:
            observer = JobObserver(lease, SHARES[request["strategy"]])
            with self._folder(lease.job.id) as folder:
                config, dataset = self._prepare(lease, observer)
                asked = self._request(lease, observer, config, dataset, folder)
                outcome = train(asked, self.store, self.data_dir, observer, within)
            said = observer.said
        else:  # by a worker that died before it could end the job
            outcome = promote(request["promote"], self.store, published, _decision(published), within)
        self._end(lease, outcome, said)
        self.store.prune(self.keep_versions)

    @contextmanager
    def _folder(self, job: str) -> Iterator[Path]:
        """The folder for the state needed to resume: kept if another worker will resume the job, else removed."""
        folder = self.data_dir / "jobs" / job
        for left in folder.parent.glob("*/"):
            if left != folder:  # only one job runs, so the folder's job has ended
                shutil.rmtree(left, ignore_errors=True)
        try:
            yield folder
        except BaseException as error:
            goes_on = isinstance(error, (LeaseLost, DatabaseUnavailable, StoreUnavailable)) or (
                isinstance(error, Interrupted) and error.reason is not Reason.CANCELLED
            )
            if not goes_on:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def _published(self, job: str) -> Version | None:
        """The version that the job published, if it did."""
        for number in reversed(self.store.versions()):
            try:
                version = self.store.open(number)
            except StoreError:
                continue
            if version.manifest.lineage.job == job:
                return version
        return None

    def _prepare(self, lease: Lease, observer: JobObserver) -> tuple[Config, Dataset]:
        """The configuration with its backbone, and the photos to train on."""
        observer.begin("examining")
        classes, splits = service_datasets.photos(self.datasets, lease.job.request["dataset"])
        config, choice = backbones.resolved(_config(lease.job.request), self.store, classes)
        if choice is not None:
            observer.backbone(choice)
        if config.backbone == "imagenet":  # first, because it may fail, and examining the pictures takes longer
            Dataset(classes, splits)  # raises before the download if these can't be trained on
            downloads = self.data_dir / "downloads"
            backbones.load(config, self.store, downloads, self.imagenet_weights, observer.downloaded)
            observer.begin("examining")
        return config, self._examined(lease, observer, classes, splits)

    def _examined(self, lease: Lease, observer: JobObserver, classes: tuple[str, ...], splits: Splits) -> Dataset:
        """The photos without unreadable ones and leakage, which the data check finds."""
        champion = self.store.open(self.store.champion())
        findings = checks.examine(
            classes,
            splits,
            champion.network(),
            self.data_dir / "features",
            progress=observer.looked,
            compute=self.compute,
        )
        mended, dropped = checks.mend(splits, findings)
        left_out = [f"{len(dropped):,} of them left out"] if dropped else []
        print(findings.table(), *left_out, sep="\n\n", flush=True)
        lease.report("findings", {"findings": len(findings.findings)}, findings=_as_data(findings))
        try:
            return Dataset(classes, mended)
        except DatasetError as error:
            if not dropped:
                raise
            raise DatasetError(
                f"{error}; {len(dropped):,} photo{'s' * (len(dropped) != 1)} left out, because they"
                " can't be read or have a copy in another split; the findings list them"
            ) from error

    def _request(self, lease: Lease, observer: JobObserver, config: Config, dataset: Dataset, folder: Path) -> Request:
        request = lease.job.request
        return Request(
            config,
            dataset,
            command=f"POST /retrain {json.dumps(request)}",
            notes=request.get("notes", ""),
            resume=True,
            promote=request["promote"],
            job=lease.job.id,
            folder=folder,
            neither=service_datasets.photos_of_neither(self.datasets, request["dataset"]),
            imagenet_weights=self.imagenet_weights,
            looked=observer.looked,
            compute=self.compute,
        )

    def _end(self, lease: Lease, outcome: Outcome, said: Mapping[str, Any]) -> None:
        decision = {**outcome.decision.model_dump(mode="json"), "promoted": outcome.promoted}
        number, manifest = outcome.version.number, outcome.version.manifest
        notes = (manifest.unquantized, caution(manifest.lineage.dataset.photos))
        reason = "; ".join([f"version {number}: {outcome.reason}", *(note for note in notes if note)])
        progress = {**said, "metrics": _metrics(manifest)}
        lease.end(Status.SUCCEEDED, reason, version=number, decision=decision, progress=progress)


def _config(request: Mapping[str, Any]) -> Config:
    given = {name: request[name] for name in ("backbone", "unfreeze", "width") if name in request}
    if "target_macs" in request:
        given["multiply_adds"] = request["target_macs"]
    config = replace(of_strategy(request["strategy"]), **given)
    if "epochs" in request:
        config = config.with_epochs(request["epochs"])
    return config.with_batch_size(request["batch_size"]) if "batch_size" in request else config


def _decision(version: Version) -> Decision:
    decision = version.manifest.decision
    assert decision is not None  # noqa: S101  # every job's version has one
    return decision


def _metrics(manifest: Manifest) -> dict[str, float] | None:
    """The metrics on the test photos, or else on the validation photos; None without either."""
    measured = manifest.metrics.get("test") or manifest.metrics.get("validation")
    names = {"photos", "accuracy", "accuracy_low", "accuracy_high", "log_loss", "calibration_error"}
    return None if measured is None else measured.model_dump(include=names)


def _as_data(findings: Findings) -> list[dict[str, Any]]:
    """The findings for the job's record; long lists are cut, with their length."""
    found = []
    for finding in findings.findings:
        first = finding.model_copy(update={"photos": finding.photos[:PHOTOS_REPORTED]})
        found.append({**first.model_dump(mode="json"), "count": len(finding.photos)})
    return found
