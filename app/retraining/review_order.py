"""Chooses the kept photos that are most worth a label: uncertainty and novelty sampling.

Settles, "Active Learning Literature Survey" (2009), section 3.1, least confident; photos unlike every class are those
that the out-of-distribution detection calls unknown.
"""

from collections.abc import Iterable
from enum import StrEnum
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

from app.serving.prediction_log import LoggedPrediction, PredictionLog

if TYPE_CHECKING:
    from catdog.datasets.datasets import Datasets

SURE: Final = 0.9  # probability from which the model was not unsure


class Order(StrEnum):
    """Which photos come first."""

    UNSURE = "unsure"
    """The lowest probabilities."""

    UNKNOWN = "unknown"
    """Only the photos that are like no class, the least familiar ones first."""

    MIXED = "mixed"
    """Unknown photos and those of each predicted class in turn, of each the lowest probabilities first."""


class Reason(StrEnum):
    """Why a photo is listed."""

    UNKNOWN = "unknown"
    """It is like no class."""

    UNSURE = "unsure"
    """Its probability is below SURE."""

    NEXT = "next"
    """The model was sure; no photo that is more worth a label comes before it."""

    @classmethod
    def of(cls, kept: LoggedPrediction) -> "Reason":
        """The reason for listing this photo."""
        if kept.prediction.unknown:
            return cls.UNKNOWN
        return cls.UNSURE if kept.prediction.probability < SURE else cls.NEXT


def to_review(uploads: PredictionLog, datasets: "Datasets", order: Order, limit: int) -> list[LoggedPrediction]:
    """At most `limit` kept photos without a label, in this order; each content once, with its newest answer."""
    labelled = datasets.labelled_by_feedback()
    newest: dict[str, LoggedPrediction] = {}
    for kept in uploads.newest():
        if kept.sha256 not in labelled:
            newest.setdefault(kept.sha256, kept)
    return list(_ordered(newest.values(), order))[:limit]


def _ordered(found: Iterable[LoggedPrediction], order: Order) -> Iterable[LoggedPrediction]:
    if order is Order.UNKNOWN:
        unknown = [kept for kept in found if kept.prediction.unknown]
        return sorted(unknown, key=lambda kept: kept.prediction.familiarity or 0.0)
    unsure = sorted(found, key=lambda kept: kept.prediction.probability)
    return unsure if order is Order.UNSURE else _in_turn(unsure)


def _in_turn(found: Iterable[LoggedPrediction]) -> Iterable[LoggedPrediction]:
    """One of each kind after the other: a row of the same class tempts to the same answer."""
    kinds: dict[str | None, list[LoggedPrediction]] = {}
    for kept in found:
        kinds.setdefault(None if kept.prediction.unknown else kept.prediction.label, []).append(kept)
    return (kept for kept in chain.from_iterable(zip_longest(*kinds.values())) if kept is not None)
