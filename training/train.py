"""One training, from a folder of photos to a published version, and perhaps into service."""

import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from catdog import calibration, golden, weights
from catdog.errors import ChampionChanged, RecipeError
from catdog.images import FINGERPRINT
from catdog.manifest import Decision, Lineage, Manifest, Metrics, WeightsFile
from catdog.store import Draft, Store, Version, Within
from training import backbones, calibrate, dataset, evaluate, features, gate, report
from training.config import Config
from training.dataset import Dataset, Photo, labels
from training.gate import Contender
from training.lineage import lineage
from training.progress import Observer
from training.strategies import STRATEGIES, Job, Trained

Promote = Literal["always", "auto", "never"]
AS_ASKED: Final[dict[Promote, str]] = {
    "always": "promoted, as asked; the rule would have it ",
    "auto": "",
    "never": "not promoted, as asked; the rule would have it ",
}


@dataclass(frozen=True)
class Request:
    """What to train on what; `command`, `recipe`, `notes` and `job` go into the manifest as they are.

    `data` is a folder, or what was read of one. `promote` auto leaves it to the rule. What it takes to resume is kept
    in `folder` until the end, else in one for the same training on the same photos.
    """

    config: Config
    data: Path | Dataset
    command: str
    recipe: str | None = None
    notes: str = ""
    resume: bool = False
    promote: Promote = "always"
    job: str | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """The version that was published, what the promotion rule says of it, and whether it was put into service."""

    version: Version
    decision: Decision
    promoted: bool
    reason: str


@dataclass(frozen=True)
class Measured:
    """One split through the trained network: n photos, their labels (n,), probabilities (n, classes)."""

    photos: tuple[Photo, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    metrics: Metrics


def train(request: Request, store: Store, data_dir: Path, observer: Observer, within: Within = nullcontext) -> Outcome:
    """Train, calibrate, measure, publish and promote; features, and what it takes to resume, are kept in `data_dir`.

    Publishing and promoting are each taken `within`, as the store says.
    """
    started = monotonic()
    job = _job(request, store, data_dir, observer)
    trained = STRATEGIES[request.config.strategy](job)
    if not all(np.isfinite(array).all() for array in trained.arrays.values()):
        raise RecipeError("the training diverged: its weights are no numbers any more; train with another --seed")
    observer.phase("measuring")
    temperature, measured = _measure(job, trained)
    candidate = Contender(job.architecture, trained.arrays, temperature)
    usable = trained.dataset.with_only({split: part.photos for split, part in measured.items()})
    decision = gate.judge(candidate, usable, store, job.cache, observer.skipped)
    observer.phase("publishing")
    origin = lineage(
        request.config,
        job.dataset.fingerprint,
        usable,
        parent=job.backbone.parent,
        command=request.command,
        recipe=request.recipe,
        notes=request.notes,
        seconds=max(monotonic() - started, sum(row["seconds"] for row in trained.history)),  # if resumed
        job=request.job,
    )
    version = _publish(store, candidate, job.cache, trained, measured, origin, decision, within)
    shutil.rmtree(job.folder, ignore_errors=True)
    return promote(request.promote, store, version, decision, within)


def _job(request: Request, store: Store, data_dir: Path, observer: Observer) -> Job:
    config, photos = request.config, request.data
    if isinstance(photos, Path):
        photos = dataset.read(photos, config.seed, config.validation_share)
    backbone = backbones.load(config, store, data_dir / "downloads")
    parts = (config.fingerprint, photos.fingerprint, backbone.fingerprint)
    folder = request.folder or data_dir / "runs" / "-".join(part[:16] for part in parts)
    if not request.resume:
        shutil.rmtree(folder, ignore_errors=True)
    return Job(config, photos, backbone, data_dir / "features", folder, request.resume, observer)


def _measure(job: Job, trained: Trained) -> tuple[float, dict[str, Measured]]:
    """The temperature, and every split but train measured with it."""
    splits = {split: photos for split in ("validation", "test") if (photos := trained.dataset.splits.get(split))}
    outputs = {
        split: features.outputs(photos, job.architecture, trained.arrays, job.cache, job.observer.skipped)
        for split, photos in splits.items()
    }
    photos, output = outputs["validation"]
    temperature = calibrate.temperature(*(trained.unseen or (output.logits, labels(photos))))
    measured = {}
    for split, (photos, output) in outputs.items():
        truth = labels(photos)
        probabilities = calibration.probabilities(output.logits, temperature)
        metrics = evaluate.measure(truth, probabilities, trained.dataset.classes, f"the {split} photos")
        measured[split] = Measured(photos, truth, probabilities, metrics)
    return temperature, measured


def _publish(
    store: Store,
    candidate: Contender,
    cache: Path,
    trained: Trained,
    measured: Mapping[str, Measured],
    origin: Lineage,
    decision: Decision,
    within: Within,
) -> Version:
    network = candidate.architecture, candidate.arrays
    known = features.of_golden_pictures(*network, cache) if candidate.architecture.head == "pooled" else None
    answers = golden.record(*network, candidate.temperature, known)
    with store.draft() as draft:
        weights.write(draft.weights_path, candidate.architecture, candidate.arrays)
        _write_report(draft, trained, measured)
        return draft.publish(
            lambda number: Manifest(
                version=number,
                created=datetime.now(UTC),
                classes=trained.dataset.classes,
                width=candidate.architecture.width,
                head=candidate.architecture.head,
                preprocessing=FINGERPRINT,
                weights=WeightsFile.of(draft.weights_path, "float32"),
                temperature=candidate.temperature,
                metrics={split: part.metrics for split, part in measured.items()},
                lineage=origin,
                decision=decision,
                golden=answers,
            ),
            within,
        )


def _write_report(draft: Draft, trained: Trained, measured: Mapping[str, Measured]) -> None:
    """On the test photos where there are some: nothing was chosen by them."""
    shown = measured.get("test", measured["validation"])
    report.write(
        draft.path / "report",
        trained.history,
        trained.dataset.classes,
        shown.photos,
        shown.labels,
        shown.probabilities,
        shown.metrics,
    )


def promote(asked: Promote, store: Store, version: Version, decision: Decision, within: Within) -> Outcome:
    """Put a published version into service, if that is asked for or decided.

    What is decided holds in the place of the champion that the version was measured against, and in no other's.
    """
    promoted = asked == "always" or (asked == "auto" and decision.promote)
    if promoted:
        try:
            store.promote(version.number, decision.champion if asked == "auto" else None, within)
        except ChampionChanged as error:
            return Outcome(version, decision, False, f"published but not promoted: {error}")
    return Outcome(version, decision, promoted, AS_ASKED[asked] + decision.reason)
