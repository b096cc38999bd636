"""Requests a second as bars, a panel for each model."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.serving import OURS, Comparison
from training.plots import BLUE, GREY, SMALL_POINTS, TEXT_POINTS, TITLE_POINTS


def requests_a_second(comparisons: Sequence[Comparison], where: str) -> Figure:
    """Medians over the rounds, each panel with its own scale; `where` says when and on what."""
    figure = Figure((8, 1.2 + 1.5 * len(comparisons)), layout="constrained")
    figure.suptitle("Requests a second, one at a time", fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
    legend = f"bar: median, line: lowest to highest round; {where}"
    figure.supxlabel(legend, fontsize=SMALL_POINTS, color=GREY, x=0.01, ha="left")
    panels = figure.subplots(len(comparisons), 1, squeeze=False)[:, 0]
    for axes, comparison in zip(panels, comparisons, strict=True):
        _draw(axes, comparison)
    return figure


def _draw(axes: Axes, comparison: Comparison) -> None:
    names = list(comparison.rounds)
    medians = [comparison.summaries[name].requests_a_second for name in names]
    axes.barh(names, medians, height=0.6, color=[BLUE if name == OURS else GREY for name in names])
    highest = 0.0
    for place, name in enumerate(names):
        speeds = [each.load.requests_a_second for each in comparison.rounds[name]]
        axes.hlines(place, min(speeds), max(speeds), color="black", linewidth=1.5)
        axes.annotate(
            f"{medians[place]:.3g}",
            (max(speeds), place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=TEXT_POINTS,
        )
        highest = max(highest, *speeds)
    axes.set_xlim(0, 1.15 * highest or 1)
    axes.set_title(comparison.model, fontsize=TEXT_POINTS, loc="left")
    axes.invert_yaxis()
    axes.tick_params("x", labelsize=SMALL_POINTS)
    axes.tick_params("y", labelsize=TEXT_POINTS, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
