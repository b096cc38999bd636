"""The rule of a trial: whether live photos speak against promoting the candidate."""

from collections.abc import Iterator, Sequence
from math import ceil, comb, log
from typing import Final, NamedTuple

import numpy as np

from catdog.versions.manifest import Decision, Rule
from catdog.versions.trial import Pair, Said, Trial

HOUR_SECONDS: Final = 3600.0
FEWEST: Final = 50  # photos, unless fewer are asked for: with fewer the candidate is kept out
CHANCE: Final = 0.05  # significance level, as of the rule on test photos
UNKNOWN: Final = 0.02  # largest allowed increase of the share of photos called unknown, as of the rule on test photos
LATENCY: Final = 1.25  # largest allowed median time of inference, as a multiple of the champion's
LABELS: Final = 30  # photos with a label from which on accuracy and calibration are judged
LOG_LOSS: Final = 0.05  # largest allowed increase, in nats per photo; few labels make the number uncertain
CALIBRATION_ERROR: Final = 0.05  # largest allowed increase
BINS: Final = 15
LEAST_PROBABILITY: Final = 1e-15  # of which the logarithm is taken
ROUNDING: Final = 1e-9


class Limits(NamedTuple):
    """When a trial ends, and the least share of equal answers."""

    photos: int
    hours: float
    agreement: float


def is_over(trial: Trial, limits: Limits, now: float) -> bool:
    """Whether it has seen enough photos or run long enough; `now` is in seconds since 1970."""
    return trial.photos >= limits.photos or now >= trial.began_at + limits.hours * HOUR_SECONDS


def decide(trial: Trial, limits: Limits) -> Decision:
    """The decision on the numbers so far."""
    rules = tuple(_rules(trial, limits))
    broken = [rule for rule in rules if not rule.passed]
    beside = f"{trial.photos:,} live photos beside version {trial.champion}"
    if broken:
        reason = f"not promoted after {beside}: {'; '.join(rule.sentence for rule in broken)}"
    else:
        reason = f"promoted after {beside}: {'; '.join(rule.sentence for rule in rules[1:])}"
    return Decision(promote=not broken, reason=reason, champion=trial.champion, photos=trial.photos, rules=rules)


def _rules(trial: Trial, limits: Limits) -> Iterator[Rule]:
    least, photos = min(FEWEST, limits.photos), trial.photos
    yield Rule(
        name="live photos",
        passed=photos >= least,
        candidate=photos,
        champion=photos,
        limit=least,
        sentence=f"{photos:,} live photos, of at least {least:,}",
    )
    if not photos:
        return
    share = trial.agreement
    yield Rule(
        name="agreement",
        passed=share >= limits.agreement - ROUNDING,
        candidate=share,
        champion=1.0,
        limit=limits.agreement,
        sentence=f"the same class for {share:.1%} of the {trial.known:,} known photos (limit {limits.agreement:.1%})",
    )
    yield _unknown(trial)
    if trial.candidate_seconds:
        yield _latency(trial)
    if len(trial.labelled) >= LABELS:
        yield from _by_labels(*zip(*((one.candidate, one.champion) for one in trial.labelled.values()), strict=True))


def _chance(only_candidate: int, only_champion: int) -> float:
    """The one-sided p-value of McNemar's exact test, as in the rule on test photos (`training.evaluation`)."""
    either = only_candidate + only_champion
    return float(sum(comb(either, count) for count in range(only_candidate, either + 1)) / 2**either)


def _unknown(trial: Trial) -> Rule:
    """The share called unknown must rise neither significantly nor by more than UNKNOWN."""
    ours, theirs = trial.unknown
    lost, won, limit = trial.candidate_unknown, trial.champion_unknown, theirs + UNKNOWN
    chance = _chance(lost, won)
    return Rule(
        name="unknown",
        passed=(lost <= won or chance >= CHANCE) and ours <= limit + ROUNDING,
        candidate=ours,
        champion=theirs,
        limit=limit,
        chance=chance,
        sentence=f"{ours:.1%} of the photos called unknown against {theirs:.1%} (limit {limit:.1%}; p = {chance:.2g})",
    )


def _latency(trial: Trial) -> Rule:
    ours, theirs = median_seconds(trial)
    limit = theirs * LATENCY
    said = f"{1000 * ours:.2f} ms of inference against {1000 * theirs:.2f} ms (limit {1000 * limit:.2f} ms)"
    return Rule(name="latency", passed=ours <= limit, candidate=ours, champion=theirs, limit=limit, sentence=said)


def median_seconds(trial: Trial) -> Pair:
    """The median times of inference, of photos that were timed."""
    return Pair(float(np.median(trial.candidate_seconds)), float(np.median(trial.champion_seconds)))


def _by_labels(ours: Sequence[Said], theirs: Sequence[Said]) -> Iterator[Rule]:
    """Accuracy, log-loss and calibration error on the photos that feedback has labelled."""
    n = len(ours)
    pairs = [(mine.right, other.right) for mine, other in zip(ours, theirs, strict=True)]
    lost, won = pairs.count((False, True)), pairs.count((True, False))
    chance, (mine, other) = _chance(lost, won), (sum(one.right for one in each) / n for each in (ours, theirs))
    yield Rule(
        name="accuracy",
        passed=lost <= won or chance >= CHANCE,
        candidate=mine,
        champion=other,
        chance=chance,
        sentence=f"accuracy {mine:.1%} against {other:.1%} on {n:,} labelled photos (p = {chance:.2g})",
    )
    for name, measured, rise, shown in (
        ("log-loss", log_loss, LOG_LOSS, "{:.3f}"),
        ("calibration error", calibration_error, CALIBRATION_ERROR, "{:.1%}"),
    ):
        mine, other = measured(ours), measured(theirs)
        limit = other + rise
        texts = [shown.format(number) for number in (mine, other, limit)]
        yield Rule(
            name=name,
            passed=mine <= limit + ROUNDING,
            candidate=mine,
            champion=other,
            limit=limit,
            sentence="{0} {1} against {2} on {4:,} labelled photos (limit {3})".format(name, *texts, n),
        )


def log_loss(said: Sequence[Said]) -> float:
    """Mean log-loss, in nats per photo."""
    return sum(-log(max(one.of_truth, LEAST_PROBABILITY)) for one in said) / len(said)


def calibration_error(said: Sequence[Said]) -> float:
    """The expected calibration error, 0-1, in BINS bins, as `training.evaluation.metrics` defines it."""
    bins: dict[int, list[float]] = {}
    for one in said:
        bins.setdefault(max(1, ceil(one.probability * BINS)), []).append(one.right - one.probability)
    return sum(abs(sum(apart)) for apart in bins.values()) / len(said)
