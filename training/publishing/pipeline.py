"""A whole training: from photos to a published and perhaps promoted version."""

import shutil
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Final, Literal

from catdog.errors import ChampionChanged
from catdog.versions.manifest import Decision
from catdog.versions.store import Store, Version, Within
from training.data import dataset
from training.data.dataset import Dataset
from training.data.features import FeatureExtractor
from training.evaluation import champion_comparison, ood
from training.fitting import backbones
from training.fitting.config import Config
from training.fitting.observer import Observer
from training.fitting.strategies import Job
from training.publishing.candidate import make
from training.publishing.lineage import lineage
from training.publishing.publish import publish

Promote = Literal["always", "auto", "never"]
AS_ASKED: Final[dict[Promote, str]] = {
    "always": "promoted, as asked",
    "auto": "",
    "never": "not promoted, as asked",
}


@dataclass(frozen=True)
class Request:
    """What to train on what; `command`, `recipe`, `notes` and `job` go into the manifest as they are.

    `data` is a folder, or what was read of one. `promote` auto leaves it to the rule. What it takes to resume is kept
    in `folder` until the end, else in one for the same training on the same photos. Without `quantize` the version
    has no int8 graph. `neither` is a folder of photos of none of the classes, to see how many it calls unknown.
    `imagenet_weights` is a file of ImageNet's VGG16, in place of the one that would be downloaded.
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
    neither: Path | None = None
    imagenet_weights: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """The version that was published, what the promotion rule says of it, and whether it was put into service."""

    version: Version
    decision: Decision
    promoted: bool
    reason: str


def train(request: Request, store: Store, data_dir: Path, observer: Observer, within: Within = nullcontext) -> Outcome:
    """Train, calibrate, measure, publish and promote; features, and what it takes to resume, are kept in `data_dir`.

    Publishing and promoting are each taken `within`, as the store says.
    """
    started = monotonic()
    neither = ood.photos_of_neither(request.neither, observer.skipped) if request.neither else ()
    job = _job(request, store, data_dir, observer)
    candidate = make(job)
    if neither:
        candidate = candidate.beside(neither, job.extractor)
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
    return promote(request.promote, store, version, decision, within)


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
        extractor=FeatureExtractor(data_dir / "features", observer.skipped),
        graphs=data_dir / "graphs",
        folder=folder,
        resume=request.resume,
        quantize=request.quantize,
        observer=observer,
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
    return Outcome(version, decision, promoted, _reason(asked, version, decision))


def _reason(asked: Promote, version: Version, decision: Decision) -> str:
    """What came of it and why; by hand what the rule kept out can be promoted all the same."""
    if asked != "auto":
        return f"{AS_ASKED[asked]}; the rule would have it {decision.reason}"
    return decision.reason if decision.promote else f"{decision.reason}. {_by_hand(version)}"


def _by_hand(version: Version) -> str:
    number = version.number
    return f"To promote it all the same: python -m training promote {number}, or POST /models/{number}/promote"
