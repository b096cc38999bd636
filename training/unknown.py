"""When a version says that a photo is unknown: set by validation photos, measured on photos of none of its classes."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from catdog import folders
from catdog.errors import DatasetError
from catdog.manifest import Neither, Unknown
from catdog.unknown import familiarity, lengths
from training.dataset import Photo, Report, report_left_out

KEPT: Final = 0.95  # share of the validation photos that are known, at least

Features = NDArray[np.float32]


def fit(features: Features) -> Unknown | None:
    """The measure and its threshold, by the features (n, features) of validation photos.

    None where most of these have none: such a network can't tell.
    """
    usual_length = float(np.median(lengths(features)))
    if not usual_length:
        return None
    found = familiarity(features, usual_length)
    threshold = float(np.quantile(found, 1 - KEPT, method="lower"))
    kept = float((found >= threshold).mean())
    return Unknown(usual_length=usual_length, threshold=threshold, photos=len(found), kept=kept)


def compare(unknown: Unknown, known: Features, neither: Features, data: str) -> Neither:
    """How well it tells photos of none of the classes from known ones, which are `data`: by features (n, features)."""
    ours, others = (familiarity(features, unknown.usual_length) for features in (known, neither))
    is_known = np.repeat([True, False], [len(ours), len(others)])
    return Neither(
        photos=len(others),
        told=float((others < unknown.threshold).mean()),
        data=data,
        kept=float((ours >= unknown.threshold).mean()),
        auroc=float(roc_auc_score(is_known, np.concatenate([ours, others]))),
    )


def photos_of_neither(folder: Path, report: Report | None = None) -> Sequence[Photo]:
    """Every picture below a folder, as photos of no class; DatasetError where there is none.

    `report` is told of files that were left out.
    """
    found = folders.listed(folder) if folder.is_dir() else folders.Listing()
    report_left_out(folder, found.skipped, report)
    files = sorted(folder / place for place in found.pictures)
    if not files:
        raise DatasetError(f"{folder} holds no photo; pass a folder of photos of none of the classes")
    return [Photo(path, -1, sha256(path.read_bytes()).hexdigest(), path.name) for path in files]


def described(unknown: Unknown) -> str:
    """The threshold, and how well it does, in a line each."""
    known = f"{unknown.kept:.1%} are known, whose familiarity is at least {unknown.threshold:.3f}"
    kept = f"of {unknown.photos:,} validation photos {known}"
    return kept if unknown.neither is None else f"{kept}\n{told(unknown.neither)}"


def told(neither: Neither) -> str:
    """How well it does, in a sentence."""
    return (
        f"of {neither.photos:,} photos of none of the classes {neither.told:.1%} are called unknown, and of"
        f" {neither.data} {1 - neither.kept:.1%}; AUROC {neither.auroc:.3f}"
    )
