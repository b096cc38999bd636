"""The plots of a training report.

They use matplotlib's objects and not pyplot, so no state is shared: any thread may draw, and no window opens.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix as count_confusions

from training.evaluation import metrics

# Okabe & Ito, "Color Universal Design" (2008): distinguishable with colour blindness.
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREY = "#666666"
PALE = "#DDDDDD"

TITLE_POINTS, TEXT_POINTS, SMALL_POINTS = 13, 11, 9
NAME_LENGTH = 22  # characters shown of the name of a class or file
SHARES_UP_TO = 8  # classes; with more, a cell of the confusion matrix has room only for the count
COUNTS_UP_TO = 30  # classes; with more, only for the colour
MISTAKES_A_ROW = 4
TITLE_INCHES, MISTAKE_INCHES = 0.6, 3.3  # heights of the title, and of a row of mistakes
BAR_WIDTH = 0.9 / metrics.BINS  # of the reliability diagram, as a probability

Row = Mapping[str, float]


class Mistake(NamedTuple):
    """A misclassified photo."""

    picture: NDArray[np.uint8]  # RGB (height, width, 3)
    name: str  # of its file
    true: str  # class
    said: str  # predicted class
    probability: float  # of the predicted class


def loss(history: Sequence[Row]) -> Figure:
    """Log-loss by epoch; rows without one show the training loss, which label smoothing raises."""
    metric = "log_loss" if "val_log_loss" in history[-1] else "loss"
    figure, axes = _curves(history, metric, "Loss by epoch", "log-loss (nats per photo)")
    _add_legend(axes, history, f"val_{metric}", np.nanargmin, "lowest {:.4f}")
    return figure


def accuracy(history: Sequence[Row]) -> Figure:
    """Accuracy by epoch."""
    figure, axes = _curves(history, "accuracy", "Accuracy by epoch", "accuracy (% of photos)")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    _add_legend(axes, history, "val_accuracy", np.nanargmax, "highest {:.2%}")
    return figure


def confusion_matrix(labels: NDArray[np.integer], said: NDArray[np.integer], classes: Sequence[str]) -> Figure:
    """True classes by row, predicted classes by column; the colour is the share of the row."""
    n = len(classes)
    counts = count_confusions(labels, said, labels=np.arange(n))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(14.0, 3.6 + 0.55 * n)
    figure, axes = _figure("Confusion matrix", "said class", "true class", (side + 1.2, side))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, format=PercentFormatter(1.0, symbol=""))
    bar.set_label("share of the true class (%)", fontsize=TEXT_POINTS)
    bar.outline.set_visible(False)
    if n <= COUNTS_UP_TO:
        _write_counts(axes, counts, shares)
    _name_classes(axes, classes)
    axes.spines[:].set_visible(False)
    axes.grid(False)
    return figure


def reliability(bins: metrics.Bins) -> Figure:
    """Accuracy by predicted probability, above the number of photos."""
    title = f"Reliability: expected calibration error {bins.calibration_error:.2%}"
    figure = Figure((7, 6.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _dress(upper, title, "", "accuracy (% of the bin)")
    _dress(lower, "", "probability of the predicted class (%)", "photos")
    some = np.flatnonzero(bins.photos)
    _draw_accuracy(upper, bins, some)
    _draw_counts(lower, bins, some)
    upper.set_xlim(some[0] / metrics.BINS, 1)
    for axis in (upper.yaxis, lower.xaxis):
        axis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    return figure


def worst_mistakes(mistakes: Sequence[Mistake], title: str) -> Figure:
    """The photos in order, each between its predicted class and its name."""
    rows = ceil(len(mistakes) / MISTAKES_A_ROW)
    inches = TITLE_INCHES + MISTAKE_INCHES * rows
    figure = Figure((11, inches))
    # The heights of all texts are known: a layout that measures them takes as long as drawing.
    figure.subplots_adjust(0.01, 0.3 / inches, 0.99, 1 - (TITLE_INCHES + 0.45) / inches, wspace=0.06, hspace=0.4)
    figure.suptitle(title, y=1 - 0.15 / inches, va="top", fontsize=TITLE_POINTS, fontweight="bold")
    for place, mistake in enumerate(mistakes, 1):
        axes = figure.add_subplot(rows, MISTAKES_A_ROW, place)
        axes.imshow(mistake.picture)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        text = f"{_short(mistake.true)}\nsaid {_short(mistake.said)} {mistake.probability:.1%}"
        axes.set_title(text, fontsize=TEXT_POINTS, parse_math=False)
        axes.set_xlabel(_short(mistake.name), fontsize=SMALL_POINTS, color=GREY, parse_math=False)
    return figure


def sentence(text: str) -> Figure:
    """A figure with only a sentence."""
    figure = Figure((7, 1.5))
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=TITLE_POINTS)
    return figure


def _short(name: str) -> str:
    """The name; the middle of a long one is cut out."""
    half = NAME_LENGTH // 2
    return name if len(name) <= NAME_LENGTH else f"{name[:half]}…{name[1 - half :]}"


def _figure(title: str, x: str, y: str, inches: tuple[float, float] = (7, 4.5)) -> tuple[Figure, Axes]:
    figure = Figure(inches, layout="constrained")
    axes = figure.add_subplot()
    _dress(axes, title, x, y)
    return figure, axes


def _dress(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=TITLE_POINTS, fontweight="bold", loc="left", pad=10)
    axes.set_xlabel(x, fontsize=TEXT_POINTS)
    axes.set_ylabel(y, fontsize=TEXT_POINTS)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def _curves(history: Sequence[Row], metric: str, title: str, y: str) -> tuple[Figure, Axes]:
    figure, axes = _figure(title, "epoch", y)
    epochs = [row["epoch"] for row in history]
    marker = "o" if len(history) <= 20 else ""
    for key, label, colour in ((metric, "training", GREY), (f"val_{metric}", "validation", BLUE)):
        axes.plot(epochs, _column(history, key), marker=marker, markersize=4, color=colour, label=label)
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure, axes


def _column(history: Sequence[Row], key: str) -> NDArray[np.float64]:
    """The value of each row, NaN if it has none."""
    return np.array([row.get(key, np.nan) for row in history], np.float64)


def _add_legend(
    axes: Axes, history: Sequence[Row], key: str, best: Callable[[NDArray[np.float64]], np.intp], text: str
) -> None:
    """Name the curves, and circle the best epoch if there is one."""
    values = _column(history, key)
    if not np.isnan(values).all():
        place = int(best(values))
        epoch, value = history[place]["epoch"], values[place]
        label = f"{text.format(value)}, epoch {epoch:.0f}"
        axes.plot(epoch, value, "o", markersize=9, markerfacecolor="none", color=VERMILION, label=label)
    axes.legend(fontsize=TEXT_POINTS, frameon=False)


def _write_counts(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    with_shares = len(counts) <= SHARES_UP_TO
    for (row, column), count in np.ndenumerate(counts):
        if count:
            text = f"{count:,}\n{shares[row, column]:.1%}" if with_shares else f"{count}"
            colour = "white" if shares[row, column] > 0.5 else "black"
            size = TEXT_POINTS if with_shares else SMALL_POINTS
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    """Label rows and columns: slanted if they would overlap, omitted if there is no room."""
    step = ceil(len(classes) / COUNTS_UP_TO)
    ticks = np.arange(0, len(classes), step)
    names = [_short(name) for name in classes[::step]]
    axes.set_yticks(ticks, names, parse_math=False)
    if len(names) <= 4 and max(map(len, names)) <= 10:
        axes.set_xticks(ticks, names, parse_math=False)
    else:
        axes.set_xticks(ticks, names, rotation=45, ha="right", parse_math=False)


def _draw_accuracy(axes: Axes, bins: metrics.Bins, some: NDArray[np.intp]) -> None:
    accuracy = bins.accuracy[some]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="perfectly calibrated")
    axes.bar(_middles(some), accuracy, BAR_WIDTH, color=BLUE, alpha=0.35, label="accuracy in the bin")
    reach = _intervals(bins, some)
    label = "at the mean probability, with 95% interval"
    axes.errorbar(bins.probability[some], accuracy, reach, fmt="o", color=BLUE, capsize=3, label=label)
    axes.set_ylim(0, 1.02)
    axes.legend(loc="lower right", fontsize=SMALL_POINTS, framealpha=0.9)


def _intervals(bins: metrics.Bins, some: NDArray[np.intp]) -> NDArray[np.float64]:
    """The lengths of the 95% Wilson interval below and above each bin's accuracy: (2, bins)."""
    tested = [binomtest(int(bins.right[i]), int(bins.photos[i])).proportion_ci(0.95, "wilson") for i in some]
    accuracy = bins.accuracy[some]
    reach = [accuracy - [i.low for i in tested], [i.high for i in tested] - accuracy]
    return np.maximum(reach, 0.0)  # rounding may put an end slightly past the accuracy


def _middles(bins: NDArray[np.intp]) -> NDArray[np.floating]:
    return (bins + 0.5) / metrics.BINS


def _draw_counts(axes: Axes, bins: metrics.Bins, some: NDArray[np.intp]) -> None:
    photos = bins.photos[some]
    bars = axes.bar(_middles(some), photos, BAR_WIDTH, color=GREY)
    axes.bar_label(bars, [f"{count:,}" for count in photos], fontsize=SMALL_POINTS, padding=2)
    axes.set_yscale("log")  # most photos are in the last bin
    axes.set_ylim(0.7, photos.max() * 5)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.grid(False)
