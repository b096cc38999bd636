from pathlib import Path

import pytest

from benchmarks.harness import versions
from benchmarks.harness.machine import Machine
from benchmarks.report.results import Results
from benchmarks.trainer import training
from benchmarks.trainer.training import Comparison, Training
from tests.photos import draw_set


def measured(epochs: tuple[float, ...]) -> Comparison:
    return Comparison(
        train_photos=2000,
        validation_photos=1000,
        cold=Training(10.0, 0.9),
        cached=Training(2.0, 0.9),
        tutorial=Training(50.0, epochs[-1]),
        epochs=epochs,
        epochs_limit=3,
    )


@pytest.mark.whole
def test_both_ways_train_a_head_and_ours_publishes_it(tmp_path: Path) -> None:
    version = versions.random(1 / 32, tmp_path / "models")
    photos = tmp_path / "photos"
    draw_set(photos / "train", 6)
    draw_set(photos / "validation", 3, first=1000)

    found = training.compare(version, photos, 1, tmp_path)

    assert (found.train_photos, found.validation_photos) == (12, 6)
    assert found.cold.accuracy == found.cached.accuracy
    assert len(found.epochs) == 1
    assert "| catdog, features known | " in Results(Machine.this(), [], trained=found).markdown()


@pytest.mark.parametrize(
    ("epochs", "ratio", "said"),
    [
        ((0.5, 0.899), "25.0x", "2 of at most 3 |"),
        ((0.5, 0.6, 0.7), "over 25.0x", "3 of at most 3, and 89.9% not reached"),
    ],
)
def test_the_page_says_whether_the_tutorial_came_to_our_accuracy(
    epochs: tuple[float, ...], ratio: str, said: str
) -> None:
    page = Results(Machine.this(), [], trained=measured(epochs)).markdown()

    assert f"features known (s) | tutorial's way | 50 | 2 | {ratio} | 1 run | 20x | yes |" in page
    assert "nothing known (s) | tutorial's way | 50 | 10 |" in page
    assert "| 20x | **no** |" in page
    assert said in page
