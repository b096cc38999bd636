"""Plots requests per second by the number of clients."""

from collections.abc import Iterator, Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report.serving_pages import accuracy
from benchmarks.serving.comparison import Comparison
from benchmarks.serving.rounds import CLIENTS
from benchmarks.serving.systems import OURS
from training.evaluation.plots import BLUE, GREY, SMALL_POINTS, TEXT_POINTS, TITLE_POINTS

BAR = 0.8 / len(CLIENTS)  # height of a bar; the distance between systems is 1
SHADES = (0.4, 0.6, 0.8, 1.0)


def requests_a_second(comparisons: Sequence[Comparison], where: str) -> Figure:
    """Medians over the rounds, each panel with its own scale; `where` is the machine and date."""
    drawn = [comparison for comparison in comparisons if len(comparison.rounds) > 1] or comparisons
    heights = [len(comparison.summaries) + 0.6 for comparison in drawn]
    figure = Figure((8, 1.4 + 0.85 * sum(heights)), layout="constrained")
    figure.suptitle("Requests a second", fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
    shades = ", ".join(map(str, CLIENTS))
    legend = f"from top to bottom: {shades} clients; dashed: benchmark_app on the same graph\n{where}"
    figure.supxlabel(legend, fontsize=SMALL_POINTS, color=GREY, x=0.01, ha="left")
    panels = figure.subplots(len(drawn), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, comparison in zip(panels, drawn, strict=True):
        _draw(axes, comparison)
    return figure


def _draw(axes: Axes, comparison: Comparison) -> None:
    summaries = comparison.summaries
    for place, (name, summary) in enumerate(summaries.items()):
        for nth, clients in enumerate(CLIENTS):
            speed = summary.requests_a_second.get(clients)
            if speed:
                height = place + (nth - (len(CLIENTS) - 1) / 2) * BAR
                color = BLUE if name == OURS else GREY
                axes.barh(height, speed, height=0.9 * BAR, color=color, alpha=SHADES[nth])
                axes.annotate(
                    f"{speed:.3g}",
                    (speed, height),
                    (4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=SMALL_POINTS,
                )
    axes.axvline(median(each.inference for each in comparison.limits), color="black", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(summaries)), list(summaries))
    axes.set_title(", ".join(_described(comparison)), fontsize=TEXT_POINTS, loc="left")
    axes.invert_yaxis()
    axes.tick_params("x", labelsize=SMALL_POINTS)
    axes.tick_params("y", labelsize=TEXT_POINTS, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _described(comparison: Comparison) -> Iterator[str]:
    yield comparison.model
    if right := accuracy(comparison):
        yield f"right on {right}"
    if resident := comparison.summaries[OURS].resident_bytes:
        yield f"{resident / 1e6:.0f} MB"
