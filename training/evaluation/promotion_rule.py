"""The promotion rule: when a candidate may replace the champion."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from catdog.versions.manifest import Decision, Metrics, Rule
from training.evaluation import evidence
from training.evaluation.metrics import measure

CHANCE: Final = 0.05  # a loss that is less likely than this between equals is no chance
LOG_LOSS: Final = 0.01  # nats a photo that may be lost
RECALL: Final = 0.02  # of a class, that may be lost
UNKNOWN: Final = 0.02  # more of the photos that may be called unknown
CALIBRATION_ERROR: Final = 0.05  # that the candidate stays under
ROUNDING: Final = 1e-9  # 0.97 - 0.95 is more than 0.02 in floating point
ADVICE: Final = "more training photos, or labels put right (python -m training doctor finds wrong ones), may mend that"

Labels = NDArray[np.integer]
Said = NDArray[np.bool_]


class Answers(NamedTuple):
    """What a version says of n photos: probabilities (n, classes), and which it calls unknown, (n,), if it can."""

    probabilities: NDArray[np.float64]
    unknown: Said | None = None


def decide(
    labels: Labels, candidate: Answers, champion: Answers, classes: Sequence[str], version: int, left_out: int = 0
) -> Decision:
    """The decision on photos of the classes `labels`, (n,), none of which either was trained on.

    `version` is the champion's number, `left_out` how many more test photos one of the two was trained on. With too
    few photos to tell the champion stays.
    """
    ours, theirs = (said.probabilities.argmax(axis=1) == labels for said in (candidate, champion))
    enough, missing = evidence.rule(labels, classes, int((ours & ~theirs).sum()), int((theirs & ~ours).sum()), left_out)
    rules = (enough, *(_measured(labels, candidate, champion, classes, ours, theirs) if len(labels) else ()))
    broken = [rule for rule in rules if not rule.passed]
    promoted = f"promoted: {'; '.join(rule.sentence for rule in rules if rule.name in ('accuracy', 'log-loss'))}"
    return Decision(
        promote=not broken,
        reason=_kept_out(broken) if broken else promoted,
        champion=version,
        photos=len(labels),
        rules=rules,
        photos_missing=missing,
        photos_left_out=left_out,
    )


def keep(version: int | None, problem: str) -> Decision:
    """The decision where the candidate can't be measured against the champion."""
    return Decision(promote=False, reason=f"kept out: {problem}", champion=version)


def doubted(decision: Decision) -> Decision:
    """The same, where it isn't known which photos the champion was trained on."""
    doubt = (
        f"version {decision.champion} doesn't say which photos it was trained on; if test photos were among them, it"
        " looks better here than it is"
    )
    return decision.model_copy(update={"reason": f"{decision.reason}; {doubt}"})


def unopposed() -> Decision:
    """The decision where there is no champion."""
    return Decision(promote=True, reason="promoted: no version was in service", champion=None)


def _kept_out(broken: Sequence[Rule]) -> str:
    """Every broken rule, and what to do about those that more test photos don't mend."""
    reason = f"kept out: {'; '.join(rule.sentence for rule in broken)}"
    return reason if broken[0].name == evidence.NAME else f"{reason}; {ADVICE}"


def _measured(
    labels: Labels, candidate: Answers, champion: Answers, classes: Sequence[str], ours: Said, theirs: Said
) -> Iterator[Rule]:
    """The rules on one photo or more; `ours` and `theirs`, (n,), are those that each of the two got right."""
    good, usual = (measure(labels, said.probabilities, classes, "the test photos") for said in (candidate, champion))
    yield _accuracy(ours, theirs)
    yield from _unknown(candidate.unknown, champion.unknown)
    yield from _losses(good, usual)
    yield from _recalls(labels, good, usual)


def _chance(only_candidate: int, only_champion: int) -> float:
    """How probable so many losses, or more, are between equals, by the photos that one of the two alone lost.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages" (1947), in
    its exact form: of equals each loses a photo alone as often as the other.
    """
    either = only_candidate + only_champion
    return float(binomtest(only_candidate, either, alternative="greater").pvalue) if either else 1.0


def _accuracy(ours: Said, theirs: Said) -> Rule:
    """Not worse beyond chance."""
    lost, won = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
    chance, mine, other = _chance(lost, won), float(ours.mean()), float(theirs.mean())
    passed = lost <= won or chance >= CHANCE
    said = f"accuracy {mine:.1%} against {other:.1%} of {len(ours):,} photos ({_by_chance(chance, passed)})"
    return Rule(name="accuracy", passed=passed, candidate=mine, champion=other, chance=chance, sentence=said)


def _unknown(ours: Said | None, theirs: Said | None) -> Iterator[Rule]:
    """No more photos called unknown than chance explains, and never more by over UNKNOWN; every photo is of a class.

    Chance explains nearly anything where photos are few, hence the limit; where they are many, a loss below the limit
    is no chance. There is no rule where one of the two calls no photo unknown.
    """
    if ours is None or theirs is None:
        return
    lost, won = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    chance, mine, other = _chance(lost, won), float(ours.mean()), float(theirs.mean())
    likely, limit = lost <= won or chance >= CHANCE, other + UNKNOWN
    yield Rule(
        name="unknown",
        passed=likely and mine <= limit + ROUNDING,
        candidate=mine,
        champion=other,
        limit=limit,
        chance=chance,
        sentence=f"{mine:.1%} of {len(ours):,} photos called unknown against {other:.1%}, where {limit:.1%} is the"
        f" limit ({_by_chance(chance, likely)})",
    )


def _by_chance(chance: float, likely: bool) -> str:
    return f"p = {chance:.2g}" if likely else f"p = {chance:.2g}: no chance, as it is below {CHANCE:g}"


def _losses(ours: Metrics, theirs: Metrics) -> Iterator[Rule]:
    limit = theirs.log_loss + LOG_LOSS
    yield Rule(
        name="log-loss",
        passed=ours.log_loss <= limit + ROUNDING,
        candidate=ours.log_loss,
        champion=theirs.log_loss,
        limit=limit,
        sentence=f"log-loss {ours.log_loss:.3f} against {theirs.log_loss:.3f}, where {limit:.3f} is the limit",
    )
    mine, other = ours.calibration_error, theirs.calibration_error
    yield Rule(
        name="calibration error",
        passed=mine < CALIBRATION_ERROR,
        candidate=mine,
        champion=other,
        limit=CALIBRATION_ERROR,
        sentence=f"calibration error {mine:.1%} against {other:.1%}, where {CALIBRATION_ERROR:.0%} is the limit",
    )


def _recalls(labels: Labels, ours: Metrics, theirs: Metrics) -> Iterator[Rule]:
    """One rule a class that there are photos of."""
    for label, (name, mine) in enumerate(ours.recall.items()):
        if (labels == label).any():
            other, limit = theirs.recall[name], max(theirs.recall[name] - RECALL, 0.0)
            yield Rule(
                name=f"recall of {name}",
                passed=mine >= limit - ROUNDING,
                candidate=mine,
                champion=other,
                limit=limit,
                sentence=f"recall of {name} {mine:.1%} against {other:.1%}, where {limit:.1%} is the limit",
            )
