"""Which kept photos are worth a label, in which order, and why."""

from pathlib import Path

import pytest

from app.retraining.review_order import Order, Reason, ToReview, to_review
from app.serving.prediction import Prediction
from app.serving.prediction_log import PredictionLog
from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.versions.trial import Other

KEPT = (  # label, probability, familiarity; below 1 it is unknown
    ("cat", 0.97, 1.2),
    ("cat", 0.6, 1.1),
    ("cat", 0.8, 1.3),
    ("dog", 0.95, 1.0),
    ("dog", 0.55, 0.4),
    ("dog", 0.99, 0.2),
)


@pytest.fixture
def uploads(tmp_path: Path) -> PredictionLog:
    """Kept photos, each with other bytes."""
    uploads = PredictionLog(tmp_path, 100, 10**6)
    for place, (label, probability, familiarity) in enumerate(KEPT):
        prediction = Prediction(
            label=label,
            probability=probability,
            probabilities={label: probability},
            unknown=familiarity < 1,
            familiarity=familiarity,
            model_version=1,
            prediction_id=uploads.new_id(),
        )
        uploads.add(prediction, bytes([place]))
    uploads.close()
    return uploads


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    return Datasets(Database(f"sqlite:///{tmp_path / 'catdog.db'}"), tmp_path / "pictures")


def told(found: list[ToReview]) -> list[tuple[str, float]]:
    return [(one.kept.prediction.label, one.kept.prediction.probability) for one in found]


def test_the_lowest_probabilities_come_first(uploads: PredictionLog, datasets: Datasets) -> None:
    found = told(to_review(uploads, datasets, Order.UNSURE, 3))

    assert found == [("dog", 0.55), ("cat", 0.6), ("cat", 0.8)]


def test_only_unknown_photos_are_listed_with_the_least_familiar_first(
    uploads: PredictionLog, datasets: Datasets
) -> None:
    assert told(to_review(uploads, datasets, Order.UNKNOWN, 10)) == [("dog", 0.99), ("dog", 0.55)]


def test_unknown_photos_and_each_class_take_turns(uploads: PredictionLog, datasets: Datasets) -> None:
    found = told(to_review(uploads, datasets, Order.MIXED, 10))

    assert found == [("dog", 0.55), ("cat", 0.6), ("dog", 0.95), ("dog", 0.99), ("cat", 0.8), ("cat", 0.97)]


def test_each_photo_says_why_it_is_listed(uploads: PredictionLog, datasets: Datasets) -> None:
    found = to_review(uploads, datasets, Order.UNSURE, 10)

    assert [one.reason for one in found] == [
        Reason.UNKNOWN,
        Reason.UNSURE,
        Reason.UNSURE,
        Reason.NEXT,
        Reason.NEXT,
        Reason.UNKNOWN,
    ]


def test_photos_about_which_a_candidate_disagrees_come_in_the_order_of_how_sure_both_are(
    uploads: PredictionLog, datasets: Datasets
) -> None:
    """The newest photo is the last one of KEPT."""
    newest = [kept.prediction.prediction_id for kept in uploads.newest()]
    others = {
        newest[5]: Other(label="dog", probability=0.6, unknown=False),  # 0.97
        newest[3]: Other(label="dog", probability=0.9, unknown=False),  # 0.8
        newest[4]: Other(label="dog", probability=0.7, unknown=False),  # 0.6
    }

    found = to_review(uploads, datasets, Order.DISAGREEMENT, 10, others)
    mixed = to_review(uploads, datasets, Order.MIXED, 10, others)

    assert told(found)[0] == ("cat", 0.8)
    assert {one.reason for one in found} == {Reason.DISAGREEMENT}
    assert [one.other for one in found] == [others[newest[3]], others[newest[4]], others[newest[5]]][: len(found)]
    assert [one.reason for one in mixed[:3]] == [Reason.DISAGREEMENT, Reason.UNKNOWN, Reason.NEXT]
    assert len({one.kept.sha256 for one in mixed}) == len(mixed) == len(KEPT)
    assert to_review(uploads, datasets, Order.DISAGREEMENT, 10) == []
