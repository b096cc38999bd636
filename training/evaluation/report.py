"""Writes a version's report: metrics, plots and worst mistakes."""

import csv
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from catdog import images
from catdog.system.repeating import patiently
from catdog.versions.measurements import Metrics
from training.data.dataset import Photo
from training.evaluation import plots
from training.evaluation.metrics import bins

DOTS_PER_INCH = 110
MISTAKES = 12  # number shown
QUICKLY = {"compress_level": 1}  # at zlib's default level, compressing the pictures took longer than drawing them


def write(
    folder: Path,
    history: Sequence[plots.Row],
    classes: Sequence[str],
    photos: Sequence[Photo],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.float64],
    metrics: Metrics,
) -> None:
    """Write the report into `folder`, which is created if missing.

    Files: evaluation.json, charts.json, confusion-matrix.png, reliability.png, worst-mistakes.png; with a history,
    which has one row per epoch, also history.csv, loss.png and accuracy.png. The worst mistakes among the n `photos`
    are decoded again; `labels` (n,), `probabilities` (n, classes) and `metrics` belong to the same photos.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "confusion-matrix": plots.confusion_matrix(labels, probabilities.argmax(axis=1), classes),
        "reliability": plots.reliability(bins(labels, probabilities)),
        "worst-mistakes": _worst_mistakes(classes, photos, labels, probabilities),
    }
    if history:
        _write_rows(folder / "history.csv", history)
        figures |= {"loss": plots.loss(history), "accuracy": plots.accuracy(history)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # Matplotlib's font lacks Chinese and draws a box
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.png", dpi=DOTS_PER_INCH, pil_kwargs=QUICKLY)
    (folder / "evaluation.json").write_text(metrics.model_dump_json(indent=2) + "\n", "utf-8")
    (folder / "charts.json").write_text(json.dumps(charts(classes, labels, probabilities)) + "\n", "utf-8")


def charts(classes: Sequence[str], labels: NDArray[np.integer], probabilities: NDArray[np.float64]) -> dict[str, Any]:
    """The numbers of the confusion matrix and the reliability diagram, for clients that draw them.

    `confusion` counts photos by true class (row) and predicted class (column). `reliability` has for each bin with
    photos their number, their mean probability of the predicted class, and the share that was right.
    """
    found = bins(labels, probabilities)
    counts = confusion_matrix(labels, probabilities.argmax(axis=1), labels=np.arange(len(classes)))
    reliability = [
        dict(zip(("photos", "probability", "right"), map(float, bar), strict=True))
        for bar in zip(found.photos, found.probability, found.accuracy, strict=True)
        if bar[0]
    ]
    return {"classes": list(classes), "confusion": counts.tolist(), "reliability": reliability}


def mistakes(labels: NDArray[np.integer], probabilities: NDArray[np.float64]) -> NDArray[np.intp]:
    """The indices of misclassified photos, the most confident first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]


def _worst_mistakes(
    classes: Sequence[str], photos: Sequence[Photo], labels: NDArray[np.integer], probabilities: NDArray[np.float64]
) -> Figure:
    wrong = mistakes(labels, probabilities)
    if not len(wrong):
        return plots.sentence(f"No mistakes in {len(labels):,} photos")
    worst = []
    for place in wrong[:MISTAKES]:
        photo, said = photos[place], probabilities[place].argmax()
        picture = images.decode(patiently(photo.path.read_bytes))
        probability = float(probabilities[place, said])
        worst.append(plots.Mistake(picture, photo.name, classes[labels[place]], classes[said], probability))
    return plots.worst_mistakes(
        worst, f"The {len(worst)} most confident of {len(wrong):,} mistakes in {len(labels):,} photos"
    )


def _write_rows(path: Path, rows: Sequence[plots.Row]) -> None:
    """Write CSV with a column for every key of any row, in the order of first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
