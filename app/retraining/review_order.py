"""Chooses the kept photos that are most worth a label: by uncertainty, novelty and disagreement.

Settles, "Active Learning Literature Survey" (2009), section 3.1, least confident, and section 3.2, query by committee:
here of the champion and a candidate on trial. Photos unlike every class are those that the out-of-distribution
detection calls unknown.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from itertools import chain, zip_longest
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from app.serving.prediction_log import LoggedPrediction, PredictionLog
from catdog.versions.trial import Other

if TYPE_CHECKING:
    from catdog.datasets.datasets import Datasets

SURE: Final = 0.9  # probability from which the model was not unsure
NO_OTHERS: Final[Mapping[str, Other]] = MappingProxyType({})


class Order(StrEnum):
    """Which photos come first."""

    UNSURE = "unsure"
    """The lowest probabilities."""

    UNKNOWN = "unknown"
    """Only the photos that are like no class, the least familiar ones first."""

    DISAGREEMENT = "disagreement"
    """Only the photos to which a candidate on trial gave another answer, those of which both were surest first."""

    MIXED = "mixed"
    """These, unknown photos and those of each predicted class in turn, of each the lowest probabilities first."""


class Reason(StrEnum):
    """Why a photo is listed."""

    UNKNOWN = "unknown"
    """It is like no class."""

    DISAGREEMENT = "disagreement"
    """A candidate on trial gave another answer."""

    UNSURE = "unsure"
    """Its probability is below SURE."""

    NEXT = "next"
    """The model was sure; no photo that is more worth a label comes before it."""


class ToReview(NamedTuple):
    """A kept photo without a label, and what a candidate on trial says instead of the champion's answer."""

    kept: LoggedPrediction
    other: Other | None = None

    @property
    def reason(self) -> Reason:
        """Why it is listed."""
        if self.kept.prediction.unknown:
            return Reason.UNKNOWN
        if self.other is not None:
            return Reason.DISAGREEMENT
        return Reason.UNSURE if self.kept.prediction.probability < SURE else Reason.NEXT


def to_review(
    uploads: PredictionLog, datasets: "Datasets", order: Order, limit: int, others: Mapping[str, Other] = NO_OTHERS
) -> list[ToReview]:
    """At most `limit` kept photos without a label, in this order; each content once, with its newest answer.

    `others` are the candidate's answers to photos about which it and the champion disagree, by prediction.
    """
    labelled = datasets.labelled_by_feedback()
    newest: dict[str, ToReview] = {}
    for kept in uploads.newest():
        if kept.sha256 not in labelled:
            one = newest.setdefault(kept.sha256, ToReview(kept))
            if one.other is None and (other := others.get(kept.prediction.prediction_id)) is not None:
                newest[kept.sha256] = ToReview(kept, other)  # with the answer that it differs from
    return list(_ordered(newest.values(), order))[:limit]


def _ordered(found: Collection[ToReview], order: Order) -> Iterable[ToReview]:
    if order is Order.UNKNOWN:
        unknown = [one for one in found if one.kept.prediction.unknown]
        return sorted(unknown, key=lambda one: one.kept.prediction.familiarity or 0.0)
    disagreed = sorted((one for one in found if one.other is not None), key=_certainty, reverse=True)
    if order is Order.DISAGREEMENT:
        return disagreed
    unsure = sorted(found, key=lambda one: one.kept.prediction.probability)
    return unsure if order is Order.UNSURE else _in_turn([*disagreed, *unsure])


def _certainty(one: ToReview) -> float:
    """How sure the less sure one of both versions is, 0-1."""
    return 0.0 if one.other is None else min(one.kept.prediction.probability, one.other.probability)


def _in_turn(found: Iterable[ToReview]) -> Iterable[ToReview]:
    """One of each kind after the other: a row of the same class tempts to the same answer."""
    kinds: dict[str | Reason, dict[str, ToReview]] = {}
    for one in found:
        kind = one.reason if one.reason in (Reason.UNKNOWN, Reason.DISAGREEMENT) else one.kept.prediction.label
        kinds.setdefault(kind, {})[one.kept.sha256] = one
    rows = (kind.values() for kind in kinds.values())
    return (one for one in chain.from_iterable(zip_longest(*rows)) if one is not None)
