"""Decides whether a training should start by itself now, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

HOUR_SECONDS: Final = 3600.0
LATE_SECONDS: Final = HOUR_SECONDS  # after a scheduled time at which nothing could start


@dataclass(frozen=True)
class Policy:
    """When a training starts by itself; without any of the first three it never does.

    `schedule` is in the syntax of cron, in the time zone of this process. `dataset` is by default that of the champion.
    """

    after_labels: int | None = None
    on_drift_hours: float | None = None
    schedule: str | None = None
    at_most_every_hours: float = 1.0
    dataset: str | None = None

    @property
    def is_on(self) -> bool:
        return self.after_labels is not None or self.on_drift_hours is not None or self.schedule is not None


@dataclass(frozen=True)
class Facts:
    """What the database knows of a data set; times are seconds since 1970, None if it never happened."""

    dataset: str
    labels: int = 0  # given or corrected since the last training of the data set began
    changes: int = 0  # to its pictures since then, that can be undone
    trained_at: float | None = None  # when that training began
    open_job: str | None = None  # of the data set, queued or running
    automatic_at: float | None = None  # when a training last started by itself
    drift_since: float | None = None  # of the version in service


class Condition(NamedTuple):
    """One part of a policy: whether it asks for a training now, and when it will, as far as that is known."""

    name: str  # of the policy's field
    trigger: str | None  # if it asks for a training: what is stored with the job
    reason: str
    next_at: float | None = None


class Plan(NamedTuple):
    """What a policy would do now; `trigger` is None if it would start nothing."""

    dataset: str | None
    trigger: str | None
    reason: str
    next_at: float | None
    conditions: tuple[Condition, ...] = ()
    is_blocked: bool = False  # whether it would start something that can't run


def plan(policy: Policy, facts: Facts, now: float) -> Plan:
    """What the policy would do at that time, in seconds since 1970."""
    conditions = tuple(_conditions(policy, facts, now))
    triggers = [condition.trigger for condition in conditions if condition.trigger]
    waits = [condition.next_at for condition in conditions if condition.next_at is not None]
    next_at = min(waits, default=None)
    if not triggers:
        return Plan(facts.dataset, None, "; ".join(each.reason for each in conditions), next_at, conditions)
    if facts.open_job is not None:
        reason = f"job {facts.open_job} already trains on {facts.dataset}; {' and '.join(triggers)}"
        return Plan(facts.dataset, None, reason, next_at, conditions)
    at = 0.0 if facts.automatic_at is None else facts.automatic_at + policy.at_most_every_hours * HOUR_SECONDS
    if now < at:
        every = f"once in {hours(policy.at_most_every_hours)} at most, so not before {moment(at)}"
        return Plan(facts.dataset, None, f"{' and '.join(triggers)}, but {every}", at, conditions)
    trigger = " and ".join(triggers)
    return Plan(facts.dataset, trigger, trigger, now, conditions)


def _conditions(policy: Policy, facts: Facts, now: float) -> Iterator[Condition]:
    if policy.after_labels is not None:
        yield _after_labels(policy.after_labels, facts)
    if policy.on_drift_hours is not None:
        yield _unless_unchanged(_on_drift(policy.on_drift_hours, facts, now), facts)
    if policy.schedule is not None:
        yield _unless_unchanged(_scheduled(policy.schedule, facts, now), facts)


def _after_labels(wanted: int, facts: Facts) -> Condition:
    reason = f"{facts.labels} of {wanted} new labels in {facts.dataset}"
    reason += ", not trained yet" if facts.trained_at is None else f" since the training of {moment(facts.trained_at)}"
    trigger = f"{facts.labels} new label{'s' * (facts.labels != 1)}" if facts.labels >= wanted else None
    return Condition("after_labels", trigger, reason)


def _on_drift(wanted: float, facts: Facts, now: float) -> Condition:
    if facts.drift_since is None:
        return Condition("on_drift_hours", None, "no drift")
    at = max(facts.drift_since, facts.trained_at or 0.0) + wanted * HOUR_SECONDS
    reason = f"drift since {moment(facts.drift_since)}; a training starts after {hours(wanted)} of it"
    if now < at:
        return Condition("on_drift_hours", None, reason, at)
    return Condition("on_drift_hours", f"drift for {hours(wanted)}", reason)


def _scheduled(schedule: str, facts: Facts, now: float) -> Condition:
    """A scheduled time counts for LATE_SECONDS, unless a training of the data set began after it."""
    last, following = _around(schedule, now)
    reason = f"the schedule {schedule} is next due at {moment(following)}"
    is_done = facts.trained_at is not None and facts.trained_at >= last
    if is_done or now - last > LATE_SECONDS:
        return Condition("schedule", None, reason, following)
    reason = f"the schedule {schedule} was due at {moment(last)}"
    return Condition("schedule", f"schedule {schedule}", reason, following)


def _unless_unchanged(condition: Condition, facts: Facts) -> Condition:
    """Without a change the last training would only be repeated, and its copies would displace other versions."""
    if condition.trigger is None or facts.labels or facts.changes or facts.trained_at is None:
        return condition
    reason = f"{condition.reason}, but {facts.dataset} hasn't changed since its training of {moment(facts.trained_at)}"
    return Condition(condition.name, None, reason, condition.next_at)


def _around(schedule: str, now: float) -> tuple[float, float]:
    """The last time of a schedule up to now, and the next one. Naive times are those of this machine's zone."""
    from cronsim import CronSim

    here = datetime.fromtimestamp(now)
    just_after = here.replace(microsecond=0) + timedelta(seconds=1)
    return next(CronSim(schedule, just_after, reverse=True)).timestamp(), next(CronSim(schedule, here)).timestamp()


def checked_schedule(schedule: str) -> str:
    """The schedule; ValueError says what is wrong with it."""
    from cronsim import CronSim, CronSimError

    try:
        times = CronSim(schedule, datetime(2026, 1, 1))
        next(times)
    except (CronSimError, StopIteration) as error:
        why = str(error) or "it names no date that exists"
        raise ValueError(f"{why}; write five fields of cron: minute, hour, day of month, month, day of week") from error
    return schedule


def moment(seconds: float) -> str:
    """A time for a person to read."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def hours(number: float) -> str:
    return f"{number:g} hour{'s' * (number != 1)}"
