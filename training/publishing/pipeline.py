"""The training pipeline: from photos to a published and possibly promoted version."""

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Final, Literal

from catdog.errors import ChampionChanged
from catdog.versions.manifest import Decision
from catdog.versions.store import Store, Version, Within
from training.data import dataset
from training.data.dataset import Dataset, Photo
from training.data.features import Compute, FeatureExtractor, Progress, compute_here
from training.evaluation import champion_comparison, ood
from training.fitting import backbones
from training.fitting.config import Config
from training.fitting.observer import Observer
from training.fitting.strategies import Job
from training.publishing import tracking
from training.publishing.candidate import make
from training.publishing.lineage import lineage
from training.publishing.publish import publish

Promote = Literal["always", "auto", "never", "shadow"]
AS_ASKED: Final[dict[Promote, str]] = {
    "always": "promoted, as requested",
    "auto": "",
    "never": "not promoted, as requested",
    "shadow": "on trial next to the champion, as requested",
}


@dataclass(frozen=True)
class Request:
    """The configuration and data of a training; `command`, `recipe`, `notes` and `job` are copied into the manifest.

    `data` is a folder, or a data set read from one. With `promote` "auto" the promotion rule decides, with "shadow" it
    decides on a trial next to the champion (`catdog.versions.trial`). The state needed to resume is kept in `folder`
    until the end, by default in one that is the same for the same training on the same photos. Without `quantize` the
    version has no int8 graph. `neither` are photos of none of the classes, or a folder of them, to measure how many the
    version calls unknown. `imagenet_weights` is a file with ImageNet's VGG16, used instead of downloading one. `looked`
    is called as photos go through the network, and `compute` computes their features (see `FeatureExtractor`).
    """

    config: Config
    data: Path | Dataset
    command: str
    recipe: str | None = None
    notes: str = ""
    resume: bool = False
    promote: Promote = "auto"
    quantize: bool = True
    job: str | None = None
    folder: Path | None = None
    neither: Path | Sequence[Photo] = ()
    imagenet_weights: Path | None = None
    looked: Progress | None = None
    compute: Compute = compute_here


@dataclass(frozen=True)
class Outcome:
    """The published version, the decision of the promotion rule, and whether the version was put into service."""

    version: Version
    decision: Decision
    promoted: bool
    reason: str


def train(request: Request, store: Store, data_dir: Path, observer: Observer, within: Within = nullcontext) -> Outcome:
    """Train, calibrate, measure, publish and promote; `data_dir` holds cached features and the state for resuming.

    Publishing and promoting each run inside the context `within` (see `catdog.versions.store`).
    """
    started = monotonic()
    neither = request.neither
    if isinstance(neither, Path):
        neither = ood.photos_of_neither(neither, observer.skipped)
    job = _job(request, store, data_dir, observer)
    candidate = make(job)
    if neither:
        candidate = candidate.measured_on(neither, job.extractor)
    decision = champion_comparison.judge(candidate.contender, candidate.dataset, store, job.extractor)
    observer.phase("publishing")
    origin = lineage(
        job,
        candidate.dataset,
        max(monotonic() - started, sum(row["seconds"] for row in candidate.history)),  # if resumed
        command=request.command,
        recipe=request.recipe,
        notes=request.notes,
        job=request.job,
    )
    version = publish(store, candidate, job.extractor, origin, decision, within)
    shutil.rmtree(job.folder, ignore_errors=True)
    outcome = promote(request.promote, store, version, decision, within)
    tracking.log(outcome)
    return outcome


def _job(request: Request, store: Store, data_dir: Path, observer: Observer) -> Job:
    config, photos = request.config, request.data
    if isinstance(photos, Path):
        photos = dataset.read(photos, config.seed, config.validation_share, observer.skipped)
    photos = photos.without(config.left_out).suited_to(config.strategy, config.seed)
    config, choice = backbones.resolved(config, store, photos.classes)
    if choice is not None:
        observer.backbone(choice)
    backbone = backbones.load(config, store, data_dir / "downloads", request.imagenet_weights)
    if not request.quantize:
        backbone = replace(backbone, int8=None)
    parts = (config.fingerprint, photos.fingerprint, backbone.fingerprint)
    folder = request.folder or data_dir / "runs" / "-".join(part[:16] for part in parts)
    if not request.resume:
        shutil.rmtree(folder, ignore_errors=True)
    return Job(
        config,
        photos,
        backbone,
        extractor=FeatureExtractor(data_dir / "features", observer.skipped, request.looked, request.compute),
        graphs=data_dir / "graphs",
        folder=folder,
        resume=request.resume,
        quantize=request.quantize,
        observer=observer,
    )


def promote(asked: Promote, store: Store, version: Version, decision: Decision, within: Within) -> Outcome:
    """Put a published version into service or on trial, if that was requested or the rule decided so.

    The rule's decision is only valid while the champion is the version that the candidate was measured against.
    """
    if asked == "shadow" and decision.champion is None:  # there is none to run beside
        asked = "auto"
    promoted = asked == "always" or (asked == "auto" and decision.promote)
    try:
        if promoted:
            store.promote(version.number, decision.champion if asked == "auto" else None, within)
        elif asked == "shadow" and decision.promote and decision.champion is not None:
            store.try_out(version.number, decision.champion, within)
    except ChampionChanged as error:
        return Outcome(version, decision, False, f"published but not promoted: {error}")
    return Outcome(version, decision, promoted, _reason(asked, version, decision))


def _reason(asked: Promote, version: Version, decision: Decision) -> str:
    """Whether the version was promoted and why; if the rule rejected it, also how to promote it by hand."""
    if asked in ("always", "never") or (asked == "shadow" and decision.promote):
        return f"{AS_ASKED[asked]}; decision of the promotion rule: {decision.reason}"
    return decision.reason if decision.promote else f"{decision.reason}. {_by_hand(version)}"


def _by_hand(version: Version) -> str:
    number = version.number
    return f"To promote it anyway: python -m training promote {number}, or POST /models/{number}/promote"
