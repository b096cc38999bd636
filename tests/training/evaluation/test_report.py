import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.api.model_catalog import WITHOUT_PHOTOS
from catdog.versions.measurements import Metrics
from training.data.dataset import Photo
from training.evaluation import report
from training.evaluation.metrics import measure

HISTORY = [
    {
        "epoch": epoch,
        "loss": 1 / epoch,
        "accuracy": 0.5,
        "log_loss": 1 / epoch,
        "val_accuracy": 0.6,
        "val_log_loss": 0.4,
    }
    for epoch in (1, 2, 3)
]
ALWAYS = {"charts.json", "confusion-matrix.png", "reliability.png", "worst-mistakes.png", "evaluation.json"}
CLASSES = ("cat", "dog")


def write(folder: Path, probabilities: NDArray[np.float64], history: list[dict[str, float]]) -> Metrics:
    """A report on alternating photos of a cat and a dog, each in the single colour that it is named after."""
    labels = np.arange(len(probabilities)) % 2
    photos = [folder.parent / f"{number}.png" for number in range(len(labels))]
    for number, photo in enumerate(photos):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(photo)
    metrics = measure(labels, probabilities, CLASSES, "colours")
    report.write(folder, history, CLASSES, as_photos(photos), labels, probabilities, metrics)
    return metrics


def said(dog: list[float]) -> NDArray[np.float64]:
    return np.column_stack([1 - np.array(dog), dog])


def as_photos(paths: Sequence[Path]) -> list[Photo]:
    """The report only needs a photo's path and name."""
    return [Photo(path, 0, "", path.name) for path in paths]


def test_a_report_has_all_its_files(tmp_path: Path) -> None:
    write(tmp_path / "report", said([0.1, 0.9, 0.8, 0.7]), HISTORY)
    assert {path.name for path in (tmp_path / "report").iterdir()} == ALWAYS | {
        "history.csv",
        "loss.png",
        "accuracy.png",
    }


def test_without_a_history_there_are_no_curves(tmp_path: Path) -> None:
    write(tmp_path / "report", said([0.1, 0.9, 0.8, 0.7]), [])
    assert {path.name for path in (tmp_path / "report").iterdir()} == ALWAYS


@pytest.mark.parametrize("dog", [[0.1, 0.9, 0.8, 0.7], [0.1, 0.9]])
def test_every_picture_opens_and_is_large_enough_to_read(tmp_path: Path, dog: list[float]) -> None:
    write(tmp_path / "report", said(dog), HISTORY)
    for path in (tmp_path / "report").glob("*.png"):
        with Image.open(path) as picture:
            picture.load()
            assert picture.width >= 600, path.name


def test_the_history_has_a_line_an_epoch(tmp_path: Path) -> None:
    write(tmp_path / "report", said([0.1, 0.9]), HISTORY)
    with (tmp_path / "report" / "history.csv").open(newline="") as file:
        assert [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)] == HISTORY


def test_a_value_that_only_some_epochs_have_is_empty_in_the_others(tmp_path: Path) -> None:
    write(tmp_path / "report", said([0.1, 0.9]), [HISTORY[0], {**HISTORY[1], "learning_rate": 0.1}])
    lines = (tmp_path / "report" / "history.csv").read_text().splitlines()
    assert lines[0].endswith(",learning_rate")
    assert lines[1].endswith(",")
    assert lines[2].endswith(",0.1")


def test_the_evaluation_is_that_of_the_photos(tmp_path: Path) -> None:
    metrics = write(tmp_path / "report", said([0.1, 0.9, 0.8, 0.7]), [])
    assert Metrics.model_validate_json((tmp_path / "report" / "evaluation.json").read_text()) == metrics


def test_mistakes_come_with_the_surest_first() -> None:
    dog = [0.9, 0.9, 0.6, 0.01, 0.2, 0.45, 0.7, 0.8]
    assert report.mistakes(np.arange(8) % 2, said(dog)).tolist() == [3, 0, 6, 2, 5]


def test_the_pictures_of_the_worst_mistakes_are_those_photos(tmp_path: Path) -> None:
    dog = [0.1, 0.9] * 95
    dog[180] = 0.99  # a red of 180, which no other photo has
    write(tmp_path / "report", said(dog), [])
    with Image.open(tmp_path / "report" / "worst-mistakes.png") as picture:
        red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)
    assert np.bincount(red[(red > 0) & (green == 0) & (blue == 0)]).argmax() == 180


def test_real_photos_make_a_report(tmp_path: Path, shared_data: Path) -> None:
    validation = shared_data / "cats_and_dogs" / "validation"
    photos = [*sorted((validation / "cat").iterdir())[:20], *sorted((validation / "dog").iterdir())[:20]]
    labels = np.repeat([0, 1], 20)
    probabilities = said(np.random.default_rng(0).random(40).tolist())
    metrics = measure(labels, probabilities, CLASSES, "40 photos")
    report.write(tmp_path, [], CLASSES, as_photos(photos), labels, probabilities, metrics)
    assert {path.name for path in tmp_path.iterdir()} == ALWAYS


def test_measuring_and_reporting_bring_neither_a_training_framework_nor_shared_plots() -> None:
    code = (
        "import sys, training.evaluation.report, training.evaluation.temperature_scaling, training.data.download;"
        "print({'tensorflow', 'keras', 'torch', 'jax', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert answer.stdout.strip() == "set()"


def test_only_the_worst_mistakes_show_photos(tmp_path: Path) -> None:
    """The service shows the other files to every user with read access to a version."""
    write(tmp_path / "report", said([0.1, 0.9, 0.8, 0.7]), HISTORY)

    assert {file.name for file in (tmp_path / "report").iterdir()} - WITHOUT_PHOTOS == {"worst-mistakes.png"}


def test_the_numbers_of_the_charts_are_in_the_report(tmp_path: Path) -> None:
    write(tmp_path / "report", said([0.1, 0.9, 0.8, 0.7]), [])

    assert json.loads((tmp_path / "report" / "charts.json").read_text()) == {
        "classes": ["cat", "dog"],
        "confusion": [[1, 1], [0, 2]],
        "reliability": [
            {"photos": 1, "probability": pytest.approx(0.7), "right": 1},
            {"photos": 1, "probability": pytest.approx(0.8), "right": 0},
            {"photos": 2, "probability": pytest.approx(0.9), "right": 1},
        ],
    }
