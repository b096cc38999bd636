"""The promotion rule: whether a candidate may take the champion's place, by what both said of the same photos."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from catdog.manifest import Decision, Metrics, Rule
from training.evaluate import measure

CHANCE = 0.05  # a loss of accuracy that is less likely than this among equals is no chance
LOG_LOSS = 0.01  # nats a photo that may be lost
RECALL = 0.02  # of a class, that may be lost
CALIBRATION_ERROR = 0.05  # that the candidate stays under
ROUNDING = 1e-9  # 0.97 - 0.95 is more than 0.02 in floating point

Labels = NDArray[np.integer]
Probabilities = NDArray[np.float64]


def decide(
    labels: Labels, candidate: Probabilities, champion: Probabilities, classes: Sequence[str], version: int
) -> Decision:
    """The decision on photos of the classes `labels`, (n,), by probabilities (n, classes).

    `version` is the champion's number. Without a photo the champion stays.
    """
    if not len(labels):
        return keep(version, "there are no test photos to judge by")
    ours, theirs = (measure(labels, said, classes, "the test photos") for said in (candidate, champion))
    rules = (_accuracy(labels, candidate, champion), *_losses(ours, theirs), *_recalls(labels, ours, theirs))
    broken = [rule.sentence for rule in rules if not rule.passed]
    reason = f"kept out: {'; '.join(broken)}" if broken else f"promoted: {rules[0].sentence}, {rules[1].sentence}"
    return Decision(promote=not broken, reason=reason, champion=version, photos=len(labels), rules=rules)


def keep(version: int | None, problem: str) -> Decision:
    """The decision where the candidate can't be measured against the champion."""
    return Decision(promote=False, reason=f"kept out: {problem}", champion=version)


def unopposed() -> Decision:
    """The decision where there is no champion."""
    return Decision(promote=True, reason="promoted: no version was in service", champion=None)


def _accuracy(labels: Labels, candidate: Probabilities, champion: Probabilities) -> Rule:
    """Not worse beyond chance, by the photos that one of the two got right alone.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages" (1947), in
    its exact form: of equals each is right alone as often as the other.
    """
    ours, theirs = (said.argmax(axis=1) == labels for said in (candidate, champion))
    lost, won = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
    chance = float(binomtest(lost, lost + won, alternative="greater").pvalue) if lost + won else 1.0
    mine, other = float(ours.mean()), float(theirs.mean())
    return Rule(
        name="accuracy",
        passed=lost <= won or chance >= CHANCE,
        candidate=mine,
        champion=other,
        sentence=f"accuracy {mine:.1%} against {other:.1%} of {len(labels):,} photos (p = {chance:.2g})",
    )


def _losses(ours: Metrics, theirs: Metrics) -> Iterator[Rule]:
    yield Rule(
        name="log-loss",
        passed=ours.log_loss <= theirs.log_loss + LOG_LOSS + ROUNDING,
        candidate=ours.log_loss,
        champion=theirs.log_loss,
        sentence=f"log-loss {ours.log_loss:.3f} against {theirs.log_loss:.3f}",
    )
    mine, other = ours.calibration_error, theirs.calibration_error
    yield Rule(
        name="calibration error",
        passed=mine < CALIBRATION_ERROR,
        candidate=mine,
        champion=other,
        sentence=f"calibration error {mine:.1%} against {other:.1%}, where {CALIBRATION_ERROR:.0%} is the limit",
    )


def _recalls(labels: Labels, ours: Metrics, theirs: Metrics) -> Iterator[Rule]:
    """One rule a class that there are photos of."""
    for label, (name, mine) in enumerate(ours.recall.items()):
        if (labels == label).any():
            yield Rule(
                name=f"recall of {name}",
                passed=mine >= theirs.recall[name] - RECALL - ROUNDING,
                candidate=mine,
                champion=theirs.recall[name],
                sentence=f"recall of {name} {mine:.1%} against {theirs.recall[name]:.1%}",
            )
