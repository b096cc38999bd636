"""One training, from a folder of photos to a published version."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from catdog import calibration, weights
from catdog.errors import RecipeError
from catdog.images import FINGERPRINT
from catdog.manifest import Lineage, Manifest, Metrics, WeightsFile
from catdog.store import Draft, Store, Version
from training import backbones, calibrate, dataset, evaluate, features, report
from training.config import Config
from training.dataset import Photo, Report, labels
from training.lineage import lineage
from training.strategies import STRATEGIES, Job, Trained


@dataclass(frozen=True)
class Request:
    """What to train on what; `command`, `recipe` and `notes` go into the manifest as they are."""

    config: Config
    data: Path
    command: str
    recipe: str | None = None
    notes: str = ""
    resume: bool = False


@dataclass(frozen=True)
class Measured:
    """One split through the trained network: n photos, their labels (n,), probabilities (n, classes)."""

    photos: tuple[Photo, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    metrics: Metrics


def train(request: Request, store: Store, data_dir: Path, report_broken: Report) -> Version:
    """Train, calibrate, measure and publish; features, and what it takes to resume, are kept in `data_dir`.

    The published version isn't promoted.
    """
    started = monotonic()
    config = request.config
    photos = dataset.read(request.data, config.seed, config.validation_share)
    backbone = backbones.load(config, store, data_dir / "downloads")
    parts = (config.fingerprint, photos.fingerprint, backbone.fingerprint)
    folder = data_dir / "runs" / "-".join(part[:16] for part in parts)
    if not request.resume:
        shutil.rmtree(folder, ignore_errors=True)
    job = Job(config, photos, backbone, data_dir / "features", folder, request.resume, report_broken)
    trained = STRATEGIES[config.strategy](job)
    if not all(np.isfinite(array).all() for array in trained.arrays.values()):
        raise RecipeError("the training diverged: its weights are no numbers any more; train with another --seed")
    temperature, measured = _measure(job, trained)
    origin = lineage(
        config,
        photos.fingerprint,
        trained.dataset,
        parent=backbone.parent,
        command=request.command,
        recipe=request.recipe,
        notes=request.notes,
        seconds=max(monotonic() - started, sum(row["seconds"] for row in trained.history)),  # if resumed
    )
    version = _publish(store, job, trained, temperature, measured, origin)
    shutil.rmtree(folder, ignore_errors=True)
    return version


def _measure(job: Job, trained: Trained) -> tuple[float, dict[str, Measured]]:
    """The temperature that suits the validation photos, and every split but train measured with it."""
    temperature = 1.0
    measured = {}
    for split in ("validation", "test"):
        if split not in trained.dataset.splits:
            continue
        photos, output = features.outputs(
            trained.dataset.splits[split], job.architecture, trained.arrays, job.cache, job.report
        )
        truth = labels(photos)
        if split == "validation":
            temperature = calibrate.temperature(output.logits, truth)
        probabilities = calibration.probabilities(output.logits, temperature)
        metrics = evaluate.measure(truth, probabilities, trained.dataset.classes, f"the {split} photos")
        measured[split] = Measured(photos, truth, probabilities, metrics)
    return temperature, measured


def _publish(
    store: Store,
    job: Job,
    trained: Trained,
    temperature: float,
    measured: Mapping[str, Measured],
    origin: Lineage,
) -> Version:
    with store.draft() as draft:
        weights.write(draft.weights_path, job.architecture, trained.arrays)
        _write_report(draft, trained, measured)
        return draft.publish(
            lambda number: Manifest(
                version=number,
                created=datetime.now(UTC),
                classes=trained.dataset.classes,
                width=job.architecture.width,
                head=job.architecture.head,
                preprocessing=FINGERPRINT,
                weights=WeightsFile.of(draft.weights_path, "float32"),
                temperature=temperature,
                metrics={split: part.metrics for split, part in measured.items()},
                lineage=origin,
            )
        )


def _write_report(draft: Draft, trained: Trained, measured: Mapping[str, Measured]) -> None:
    """On the test photos where there are some: nothing was chosen by them."""
    shown = measured.get("test", measured["validation"])
    report.write(
        draft.path / "report",
        trained.history,
        trained.dataset.classes,
        [photo.path for photo in shown.photos],
        shown.labels,
        shown.probabilities,
        shown.metrics,
    )
