"""The promotion rule: when a candidate may replace the champion."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from catdog.versions.manifest import Decision, Rule
from catdog.versions.measurements import Metrics
from training.evaluation import evidence
from training.evaluation.metrics import measure

CHANCE: Final = 0.05  # significance level: a loss with a smaller p-value breaks the rule
LOG_LOSS: Final = 0.01  # largest allowed increase, in nats per photo
RECALL: Final = 0.02  # largest allowed decrease, for each class
UNKNOWN: Final = 0.02  # largest allowed increase of the share of photos called unknown
CALIBRATION_ERROR: Final = 0.05  # the candidate must be below it
ROUNDING: Final = 1e-9  # 0.97 - 0.95 is more than 0.02 in floating point
ADVICE: Final = "more training photos or corrected labels may help (python -m training check-data finds wrong ones)"

Labels = NDArray[np.integer]
Said = NDArray[np.bool_]


class Answers(NamedTuple):
    """Answers to n photos: probabilities (n, classes), and which are unknown, (n,), None without a detector."""

    probabilities: NDArray[np.float64]
    unknown: Said | None = None


def decide(
    labels: Labels, candidate: Answers, champion: Answers, classes: Sequence[str], version: int, left_out: int = 0
) -> Decision:
    """Compare both on test photos with the class numbers `labels`, (n,); neither was trained on any of them.

    `version` is the champion's number. `left_out` is the number of further test photos that are not counted, because
    one of the two was trained on them. With too few photos the champion stays.
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
    """The decision if the candidate can't be compared with the champion."""
    return Decision(promote=False, reason=f"not promoted: {problem}", champion=version)


def doubted(decision: Decision) -> Decision:
    """The same decision with a warning: it isn't known which photos the champion was trained on."""
    doubt = (
        f"version {decision.champion} doesn't record which photos it was trained on; if test photos were among them,"
        " its results here are too good"
    )
    return decision.model_copy(update={"reason": f"{decision.reason}; {doubt}"})


def unopposed() -> Decision:
    """The decision if there is no champion."""
    return Decision(promote=True, reason="promoted: no version was in service", champion=None)


def _kept_out(broken: Sequence[Rule]) -> str:
    """Every broken rule, with advice unless the only problem is too few test photos."""
    reason = f"not promoted: {'; '.join(rule.sentence for rule in broken)}"
    return reason if broken[0].name == evidence.NAME else f"{reason}; {ADVICE}"


def _measured(
    labels: Labels, candidate: Answers, champion: Answers, classes: Sequence[str], ours: Said, theirs: Said
) -> Iterator[Rule]:
    """Apply the rules to at least one photo; `ours` and `theirs`, (n,), are true where each of the two was right."""
    good, usual = (measure(labels, said.probabilities, classes, "the test photos") for said in (candidate, champion))
    yield _accuracy(ours, theirs)
    yield from _unknown(candidate.unknown, champion.unknown)
    yield from _losses(good, usual)
    yield from _recalls(labels, good, usual)


def _chance(only_candidate: int, only_champion: int) -> float:
    """The one-sided p-value of McNemar's exact test, from the numbers of photos that only one of the two got wrong.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages" (1947). The
    null hypothesis: each of the two is equally often the only one that is wrong.
    """
    either = only_candidate + only_champion
    return float(binomtest(only_candidate, either, alternative="greater").pvalue) if either else 1.0


def _accuracy(ours: Said, theirs: Said) -> Rule:
    """The candidate's accuracy must not be significantly lower."""
    lost, won = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
    chance, mine, other = _chance(lost, won), float(ours.mean()), float(theirs.mean())
    passed = lost <= won or chance >= CHANCE
    said = f"accuracy {mine:.1%} against {other:.1%} on {len(ours):,} photos ({_by_chance(chance, passed)})"
    return Rule(name="accuracy", passed=passed, candidate=mine, champion=other, chance=chance, sentence=said)


def _unknown(ours: Said | None, theirs: Said | None) -> Iterator[Rule]:
    """The share of photos called unknown must not rise significantly, nor by more than UNKNOWN; none is truly unknown.

    Both are needed: with few photos even a large increase is not significant, and with many photos an increase below
    the limit can be. There is no rule if one of the two versions has no out-of-distribution detector.
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
        sentence=f"{mine:.1%} of {len(ours):,} photos called unknown against {other:.1%}"
        f" (limit {limit:.1%}; {_by_chance(chance, likely)})",
    )


def _by_chance(chance: float, likely: bool) -> str:
    return f"p = {chance:.2g}" if likely else f"p = {chance:.2g}, significant: below {CHANCE:g}"


def _losses(ours: Metrics, theirs: Metrics) -> Iterator[Rule]:
    limit = theirs.log_loss + LOG_LOSS
    yield Rule(
        name="log-loss",
        passed=ours.log_loss <= limit + ROUNDING,
        candidate=ours.log_loss,
        champion=theirs.log_loss,
        limit=limit,
        sentence=f"log-loss {ours.log_loss:.3f} against {theirs.log_loss:.3f} (limit {limit:.3f})",
    )
    mine, other = ours.calibration_error, theirs.calibration_error
    yield Rule(
        name="calibration error",
        passed=mine < CALIBRATION_ERROR,
        candidate=mine,
        champion=other,
        limit=CALIBRATION_ERROR,
        sentence=f"calibration error {mine:.1%} against {other:.1%} (limit {CALIBRATION_ERROR:.0%})",
    )


def _recalls(labels: Labels, ours: Metrics, theirs: Metrics) -> Iterator[Rule]:
    """One rule for each class that has photos."""
    for label, (name, mine) in enumerate(ours.recall.items()):
        if (labels == label).any():
            other, limit = theirs.recall[name], max(theirs.recall[name] - RECALL, 0.0)
            yield Rule(
                name=f"recall of {name}",
                passed=mine >= limit - ROUNDING,
                candidate=mine,
                champion=other,
                limit=limit,
                sentence=f"recall of {name} {mine:.1%} against {other:.1%} (limit {limit:.1%})",
            )
