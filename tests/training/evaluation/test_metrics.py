import numpy as np
import pytest

from catdog.errors import DatasetError
from catdog.versions.measurements import Metrics
from training.evaluation.metrics import bins, measure, table

CLASSES = ("bird", "cat", "dog")
LABELS = np.array([1, 1, 2, 2])
PROBABILITIES = np.array([[0.0, 0.9, 0.1], [0.1, 0.1, 0.8], [0.1, 0.3, 0.6], [0.0, 0.0, 1.0]])


def measured() -> Metrics:
    return measure(LABELS, PROBABILITIES, CLASSES, "four photos")


def test_accuracy_counts_the_most_probable_class() -> None:
    assert (measured().accuracy, measured().photos, measured().data) == (0.75, 4, "four photos")


def test_the_interval_is_wilsons() -> None:
    labels = np.arange(100) < 98  # all said to be 1
    metrics = measure(labels.astype(int), np.tile([0.1, 0.9], (100, 1)), ("cat", "dog"), "")
    assert (metrics.accuracy_low, metrics.accuracy_high) == pytest.approx((0.9300, 0.9945), abs=1e-4)


def test_log_loss_is_the_mean_surprise_in_nats() -> None:
    assert measured().log_loss == pytest.approx(-np.log([0.9, 0.1, 0.6, 1.0]).mean())


def test_a_class_ruled_out_wrongly_has_a_finite_log_loss() -> None:
    wrong = measure(np.array([0]), np.array([[0.0, 1.0]]), ("cat", "dog"), "")
    assert 30 < wrong.log_loss < np.inf


def test_precision_and_recall_are_per_class() -> None:
    assert measured().precision == pytest.approx({"bird": 0, "cat": 1, "dog": 2 / 3})
    assert measured().recall == pytest.approx({"bird": 0, "cat": 0.5, "dog": 1})


def test_the_calibration_error_weighs_each_bins_gap_by_its_photos() -> None:
    probabilities = np.array([[0.9, 0.1]] * 3 + [[0.6, 0.4]])
    found = bins(np.array([0, 0, 1, 0]), probabilities)
    assert found.calibration_error == pytest.approx(3 / 4 * (0.9 - 2 / 3) + 1 / 4 * (1 - 0.6))


def test_gaps_within_a_bin_cancel_out() -> None:
    labels = np.array([0] * 8 + [1] * 2)
    assert bins(labels, np.tile([0.8, 0.2], (10, 1))).calibration_error == pytest.approx(0)


def test_a_bin_holds_its_upper_edge() -> None:
    probabilities = np.array([[10 / 15, 5 / 15], [10 / 15 + 1e-9, 5 / 15 - 1e-9], [1, 0]])
    assert np.flatnonzero(bins(np.array([0, 0, 0]), probabilities).photos).tolist() == [9, 10, 14]


def test_nothing_to_evaluate_is_an_error_that_names_the_data() -> None:
    with pytest.raises(DatasetError, match="my photos"):
        measure(np.array([], int), np.empty((0, 2)), ("cat", "dog"), "my photos")


def test_the_metrics_survive_json() -> None:
    assert Metrics.model_validate_json(measured().model_dump_json()) == measured()


def test_the_table_says_how_many_photos_and_how_certain() -> None:
    lines = [line.split() for line in table(measured()).splitlines()]
    assert lines[0] == ["photos", "4", "four", "photos"]
    assert lines[1] == ["accuracy", "75.00%", "95%:", "30.06%", "to", "95.44%"]
    assert lines[2][:2] == ["log-loss", f"{measured().log_loss:.4f}"]
    assert lines[3][:3] == ["calibration", "error", "32.50%"]
    assert lines[5:] == [
        ["class", "precision", "recall"],
        ["bird", "0.00%", "0.00%"],
        ["cat", "100.00%", "50.00%"],
        ["dog", "66.67%", "100.00%"],
    ]


def test_the_tables_columns_line_up_under_long_names() -> None:
    name = "a breed with quite a long name"
    metrics = measured().model_copy(update={"precision": {name: 1.0}, "recall": {name: 0.5}})
    header, row = table(metrics).splitlines()[-2:]
    assert len(header) == len(row)
