from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.figure import Figure

from training.evaluation import plots
from training.evaluation.metrics import bins

HISTORY = [
    {"epoch": 1, "loss": 0.9, "log_loss": 0.7, "accuracy": 0.6, "val_log_loss": 0.5, "val_accuracy": 0.7},
    {"epoch": 2, "loss": 0.6, "log_loss": 0.4, "accuracy": 0.8, "val_log_loss": 0.3, "val_accuracy": 0.9},
    {"epoch": 3, "loss": 0.5, "log_loss": 0.2, "accuracy": 0.9, "val_log_loss": 0.4, "val_accuracy": 0.8},
]


def curves(figure: Figure) -> dict[str, list[float]]:
    """The drawn curves by their names in the legend."""
    return {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in figure.axes[0].lines}


def drawn(figure: Figure) -> Figure:
    """The figure after drawing: only then matplotlib warns of a failed layout or of missing glyphs."""
    figure.savefig("/dev/null", format="png", dpi=40)
    return figure


def test_the_loss_of_training_and_validation_is_drawn_and_the_best_epoch_named() -> None:
    assert curves(drawn(plots.loss(HISTORY))) == {
        "training": [0.7, 0.4, 0.2],
        "validation": [0.5, 0.3, 0.4],
        "lowest 0.3000, epoch 2": [0.3],
    }


def test_a_history_without_log_loss_shows_the_loss() -> None:
    history = [{"epoch": 1, "loss": 0.9, "val_loss": 0.8}]
    assert curves(drawn(plots.loss(history))) == {
        "training": [0.9],
        "validation": [0.8],
        "lowest 0.8000, epoch 1": [0.8],
    }


def test_the_accuracy_of_training_and_validation_is_drawn_and_the_best_epoch_named() -> None:
    assert curves(drawn(plots.accuracy(HISTORY))) == {
        "training": [0.6, 0.8, 0.9],
        "validation": [0.7, 0.9, 0.8],
        "highest 90.00%, epoch 2": [0.9],
    }


def test_epochs_without_validation_and_losses_that_exploded_are_drawn_all_the_same() -> None:
    assert list(curves(drawn(plots.accuracy([{"epoch": 1, "accuracy": 0.5}])))) == ["training", "validation"]
    nan = float("nan")
    exploded = [{**HISTORY[0], "val_log_loss": nan}, {**HISTORY[1], "val_log_loss": 0.3}]
    assert "lowest 0.3000, epoch 2" in curves(drawn(plots.loss(exploded)))
    assert len(curves(drawn(plots.loss(exploded[:1])))) == 2


def test_a_single_epoch_has_a_single_tick() -> None:
    axes = drawn(plots.loss(HISTORY[:1])).axes[0]
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]


def cells(labels: Sequence[int], said: Sequence[int], classes: Sequence[str]) -> dict[tuple[float, float], str]:
    """The texts in the confusion matrix, by row and column."""
    axes = drawn(plots.confusion_matrix(np.array(labels), np.array(said), classes)).axes[0]
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}


def test_the_confusion_matrix_has_true_classes_by_row() -> None:
    assert cells([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], ("cat", "dog")) == {
        (0, 0): "3\n75.0%",
        (0, 1): "1\n25.0%",
        (1, 1): "1\n100.0%",
    }


def test_a_class_without_photos_leaves_its_row_empty() -> None:
    assert set(cells([0, 0], [0, 2], ("ant", "bee", "cat"))) == {(0, 0), (0, 2)}


@pytest.mark.parametrize(("classes", "counts"), [(12, 12), (30, 30), (60, 0)])
def test_more_classes_have_room_for_counts_and_too_many_for_colours_alone(classes: int, counts: int) -> None:
    every = list(range(classes))
    written = cells(every, every, [f"a breed with a rather long name {i}" for i in every])
    assert list(written.values()) == ["1"] * counts


@pytest.mark.parametrize("name", ["$5 cat", "$x_$_{", "a_b^c", "%s", "\\frac", "_hidden", "slanted: $x_$_{"])
def test_names_are_written_as_they_are(name: str) -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    drawn(plots.confusion_matrix(np.array([0, 1]), np.array([0, 1]), (name, "dog")))
    axes = drawn(plots.worst_mistakes([plots.Mistake(picture, name, name, "dog", 0.9)], "worst")).axes[0]
    assert axes.get_title() == f"{name}\nsaid dog 90.0%"


def test_a_long_name_loses_its_middle() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    mistake = plots.Mistake(picture, "IMG_20240102_111213_original_copy.jpg", "cat", "dog", 0.5)
    (axes,) = drawn(plots.worst_mistakes([mistake], "worst")).axes
    assert axes.get_xlabel() == "IMG_2024010…l_copy.jpg"


def test_the_reliability_diagram_shows_each_bin_with_its_photos() -> None:
    probabilities = np.array([[0.95, 0.05]] * 20 + [[0.7, 0.3]] * 4)
    labels = np.array([0] * 19 + [1] + [0, 0, 0, 1])
    figure = drawn(plots.reliability(bins(labels, probabilities)))
    upper, lower = figure.axes
    assert "0.83%" in upper.get_title(loc="left")
    assert [bar.get_height() for bar in upper.containers[0]] == [0.75, 0.95]
    assert [text.get_text() for text in lower.texts] == ["4", "20"]


@pytest.mark.parametrize("labels", [[0], [1]])
def test_a_single_photo_has_a_reliability_diagram(labels: list[int]) -> None:
    drawn(plots.reliability(bins(np.array(labels), np.array([[1.0, 0.0]]))))


@pytest.mark.parametrize("mistakes", [1, 4, 5, 12])
def test_each_mistake_has_a_picture(mistakes: int) -> None:
    shown = [plots.Mistake(np.zeros((4, 4, 3), np.uint8), "a.jpg", "cat", "dog", 0.9)] * mistakes
    assert len(drawn(plots.worst_mistakes(shown, "worst")).axes) == mistakes
