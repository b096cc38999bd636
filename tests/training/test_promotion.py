from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from catdog.manifest import Decision
from training import promotion

CLASSES = ("cat", "dog")
PHOTOS = 1000
LABELS = np.arange(PHOTOS) % 2
CATS, DOGS = range(0, PHOTOS, 2), range(1, PHOTOS, 2)


def says(wrong: Sequence[int] = (), sure: float = 0.97, unsure: float = 0.6) -> NDArray[np.float64]:
    """Probabilities: `sure` of the right class, but on the photos in `wrong` `unsure` of the other one."""
    right = np.full(PHOTOS, sure)
    right[list(wrong)] = 1 - unsure
    return np.where(np.eye(2)[LABELS] == 1, right[:, None], 1 - right[:, None])


def decide(candidate: NDArray[np.float64], champion: NDArray[np.float64]) -> Decision:
    return promotion.decide(LABELS, candidate, champion, CLASSES, version=7)


def broken(decision: Decision) -> list[str]:
    return [rule.name for rule in decision.rules if not rule.passed]


def test_a_candidate_that_is_as_good_takes_the_champions_place() -> None:
    decision = decide(says(wrong=[*CATS[:8], *DOGS[:8]]), says(wrong=[*CATS[4:14], *DOGS[4:14]]))

    assert decision.promote
    assert (decision.champion, decision.photos) == (7, 1000)
    assert [rule.name for rule in decision.rules] == [
        "accuracy",
        "log-loss",
        "calibration error",
        "recall of cat",
        "recall of dog",
    ]
    assert decision.reason == (
        "promoted: accuracy 98.4% against 98.0% of 1,000 photos (p = 0.87), log-loss 0.045 against 0.048"
    )


def test_the_champion_itself_is_as_good_as_the_champion() -> None:
    decision = decide(says(wrong=CATS[:9]), says(wrong=CATS[:9]))

    assert decision.promote
    assert "(p = 1)" in decision.reason


@pytest.mark.parametrize(("lost", "promote"), [(4, True), (5, False)])
def test_photos_that_it_alone_gets_wrong_count_as_soon_as_chance_hardly_explains_them(lost: int, promote: bool) -> None:
    """Of equals four losses in a row have the probability 1/16, five 1/32."""
    decision = decide(says(wrong=CATS[:lost], unsure=0.51), says())

    assert decision.promote == promote
    assert broken(decision) == ([] if promote else ["accuracy"])


def test_losses_that_wins_make_up_for_are_chance() -> None:
    assert decide(says(wrong=[*CATS[:8], *DOGS[:2]]), says(wrong=[*CATS[8:13], *DOGS[:2]])).promote


def test_a_loss_of_accuracy_is_said_with_its_numbers() -> None:
    decision = decide(says(wrong=[*CATS[:8], *DOGS[:8]], unsure=0.51), says(wrong=CATS[:2], unsure=0.51))

    assert decision.reason == "kept out: accuracy 98.4% against 99.8% of 1,000 photos (p = 6.1e-05)"


@pytest.mark.parametrize(("sure", "promote"), [(0.961, True), (0.959, False)])
def test_it_may_lose_a_hundredth_of_log_loss(sure: float, promote: bool) -> None:
    decision = decide(says(sure=sure), says(sure=0.97))

    assert decision.promote == promote
    assert broken(decision) == ([] if promote else ["log-loss"])


@pytest.mark.parametrize(("lost", "promote"), [(10, True), (11, False)])
def test_no_class_may_lose_more_than_two_points_of_recall(lost: int, promote: bool) -> None:
    """Ten of 500 dogs are two points; what it wins with the cats doesn't make up for more."""
    decision = decide(says(wrong=DOGS[:lost], unsure=0.51), says(wrong=CATS[:lost], unsure=0.51))

    assert decision.promote == promote
    if not promote:
        assert decision.reason == "kept out: recall of dog 97.8% against 100.0%"


def test_an_answer_too_sure_or_not_sure_enough_keeps_it_out() -> None:
    unsure = decide(says(sure=0.94), says(sure=0.94))
    right = decide(says(sure=0.96), says(sure=0.96))

    assert broken(unsure) == ["calibration error"]
    assert "calibration error 6.0% against 6.0%, where 5% is the limit" in unsure.reason
    assert right.promote


def test_every_broken_rule_is_named() -> None:
    decision = decide(says(wrong=DOGS[:200]), says())

    assert broken(decision) == ["accuracy", "log-loss", "calibration error", "recall of dog"]
    assert decision.reason.count(";") == 3


def test_a_class_without_a_test_photo_has_no_recall_to_lose() -> None:
    some = LABELS == 0
    decision = promotion.decide(LABELS[some], says()[some], says()[some], CLASSES, version=7)

    assert decision.promote
    assert [rule.name for rule in decision.rules][-1] == "recall of cat"


def test_what_cannot_be_measured_is_kept_out_and_says_why() -> None:
    assert promotion.keep(3, "no photos") == Decision(promote=False, reason="kept out: no photos", champion=3)


def test_without_a_champion_there_is_nothing_to_lose() -> None:
    assert promotion.unopposed().promote


def test_a_decision_survives_json() -> None:
    decision = decide(says(wrong=CATS[:3]), says(wrong=CATS[:9]))

    assert Decision.model_validate_json(decision.model_dump_json()) == decision
