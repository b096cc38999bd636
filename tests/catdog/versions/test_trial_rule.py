"""The rule for a candidate on trial."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import binomtest

from catdog.versions import trial_rule
from catdog.versions.manifest import Rule
from catdog.versions.trial import Labelled, Pair, Said, Seen, Trial
from catdog.versions.trial_rule import Limits
from training.evaluation.metrics import measure

LIMITS = Limits(photos=100, hours=24, agreement=0.95)
AGREE, DISAGREE = (Seen(agree, candidate_unknown=False, champion_unknown=False) for agree in (True, False))
ONLY_CANDIDATE = Seen(agree=False, candidate_unknown=True, champion_unknown=False)
BOTH = Seen(agree=False, candidate_unknown=True, champion_unknown=True)
GOOD, BAD = (Said(right=right, probability=0.9, of_truth=of_truth) for right, of_truth in ((True, 0.9), (False, 0.1)))
UNSURE = Said(right=True, probability=0.6, of_truth=0.6)


def trial(*seen: Seen, labelled: Sequence[tuple[Said, Said]] = ()) -> Trial:
    labels = {str(n): Labelled(candidate=ours, champion=theirs) for n, (ours, theirs) in enumerate(labelled)}
    return Trial(version=2, champion=1, began_at=0.0).after(seen, labels)


def broken(found: Trial) -> list[str]:
    return [rule.name for rule in trial_rule.decide(found, LIMITS).rules if not rule.passed]


def rule(found: Trial, name: str) -> Rule:
    return next(rule for rule in trial_rule.decide(found, LIMITS).rules if rule.name == name)


def test_it_ends_after_enough_photos_or_hours() -> None:
    assert not trial_rule.is_over(trial(*[AGREE] * 99), LIMITS, now=86_399)
    assert trial_rule.is_over(trial(*[AGREE] * 100), LIMITS, now=0)
    assert trial_rule.is_over(trial(), LIMITS, now=86_400)


def test_too_few_photos_keep_it_out() -> None:
    assert broken(trial(*[AGREE] * 49)) == ["live photos"]
    assert broken(trial(*[AGREE] * 50)) == []
    assert broken(trial()) == ["live photos"]


def test_it_must_agree_on_the_photos_that_both_know() -> None:
    assert broken(trial(*[AGREE] * 95, *[DISAGREE] * 5)) == []
    assert broken(trial(*[AGREE] * 94, *[DISAGREE] * 6)) == ["agreement"]
    assert broken(trial(*[AGREE] * 60, *[BOTH] * 40)) == [], "what an unknown photo shows is no matter"


def test_it_may_not_call_more_photos_unknown() -> None:
    assert broken(trial(*[AGREE] * 98, *[ONLY_CANDIDATE] * 2)) == []
    assert broken(trial(*[AGREE] * 97, *[ONLY_CANDIDATE] * 3)) == ["unknown"], "above the limit"
    assert broken(trial(*[AGREE] * 595, *[ONLY_CANDIDATE] * 5)) == ["unknown"], "significant"
    assert rule(trial(*[AGREE] * 97, *[ONLY_CANDIDATE] * 3), "unknown").chance == pytest.approx(
        binomtest(3, 3, alternative="greater").pvalue
    )


@dataclass
class _Timed:
    candidate: float
    broken: list[str]


@pytest.mark.parametrize("case", [_Timed(0.0124, []), _Timed(0.0126, ["latency"])])
def test_it_may_not_take_much_longer(case: _Timed) -> None:
    seen = AGREE._replace(seconds=Pair(case.candidate, 0.01))

    assert broken(trial(*[seen] * 60)) == case.broken


def test_labels_are_judged_once_there_are_enough() -> None:
    worse = [(BAD, GOOD)] * 6

    assert broken(trial(*[AGREE] * 60, labelled=worse + [(GOOD, GOOD)] * 23)) == []
    assert broken(trial(*[AGREE] * 60, labelled=worse + [(GOOD, GOOD)] * 24)) == ["accuracy", "log-loss"]
    assert broken(trial(*[AGREE] * 60, labelled=[(UNSURE, GOOD)] * 30)) == ["log-loss", "calibration error"]
    assert broken(trial(*[AGREE] * 60, labelled=[(GOOD, BAD)] * 30)) == []


def test_the_numbers_from_labels_are_those_of_the_evaluation() -> None:
    random = np.random.default_rng(5)
    first = random.uniform(0, 1, 200)
    probabilities, labels = np.stack([first, 1 - first], axis=1), random.integers(0, 2, 200)
    expected = measure(labels, probabilities, ("cat", "dog"), "random numbers")

    said = [
        Said(right=bool(row.argmax() == label), probability=float(row.max()), of_truth=float(row[label]))
        for row, label in zip(probabilities, labels, strict=True)
    ]

    assert trial_rule.log_loss(said) == pytest.approx(expected.log_loss)
    assert trial_rule.calibration_error(said) == pytest.approx(expected.calibration_error)
