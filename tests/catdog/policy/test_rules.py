"""When a training starts by itself, and what the dry run says."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from catdog.policy.rules import HOUR_SECONDS, LATE_SECONDS, Facts, Policy, checked_schedule, plan

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
NIGHT = datetime(2026, 3, 3, 3, tzinfo=UTC).timestamp()
TRAINED = Facts("pets", labels=1, trained_at=NOW - 48 * HOUR_SECONDS)
LABELS = Policy(after_labels=5, at_most_every_hours=2)
NIGHTLY = Policy(schedule="0 3 * * *")
DRIFT = Policy(on_drift_hours=6)


@pytest.fixture(autouse=True)
def in_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Schedules are in the time zone of the process."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_last_of_the_wanted_labels_starts_a_training() -> None:
    before = plan(LABELS, replace(TRAINED, labels=4), NOW)
    after = plan(LABELS, replace(TRAINED, labels=5), NOW)

    assert before.trigger is None
    assert before.reason == "4 of 5 new labels in pets since the training of 2026-02-28 12:00 UTC"
    assert (after.trigger, after.next_at) == ("5 new labels", NOW)


def test_a_data_set_without_a_training_counts_all_of_its_labels() -> None:
    assert plan(LABELS, Facts("pets", labels=4), NOW).reason == "4 of 5 new labels in pets, not trained yet"
    assert plan(LABELS, Facts("pets", labels=9), NOW).trigger == "9 new labels"


def test_nothing_starts_while_a_training_on_the_data_set_is_open() -> None:
    waiting = plan(LABELS, replace(TRAINED, labels=9, open_job="7d1f"), NOW)

    assert waiting.trigger is None
    assert waiting.reason == "job 7d1f already trains on pets; 9 new labels"


def test_trainings_never_start_more_often_than_the_policy_says() -> None:
    facts = replace(TRAINED, labels=9, automatic_at=NOW - HOUR_SECONDS)

    early = plan(LABELS, facts, NOW)

    assert (early.trigger, early.next_at) == (None, NOW + HOUR_SECONDS)
    assert early.reason == "9 new labels, but once in 2 hours at most, so not before 2026-03-02 13:00 UTC"
    assert plan(LABELS, facts, NOW + HOUR_SECONDS).trigger == "9 new labels"


def test_drift_starts_a_training_once_it_has_lasted_and_again_only_after_as_long() -> None:
    drifting = replace(TRAINED, drift_since=NOW - 5 * HOUR_SECONDS)

    assert plan(DRIFT, TRAINED, NOW).reason == "no drift"
    assert (plan(DRIFT, drifting, NOW).trigger, plan(DRIFT, drifting, NOW).next_at) == (None, NOW + HOUR_SECONDS)
    assert plan(DRIFT, drifting, NOW + HOUR_SECONDS).trigger == "drift for 6 hours"
    again = replace(drifting, trained_at=NOW + HOUR_SECONDS)
    assert plan(DRIFT, again, NOW + 2 * HOUR_SECONDS).next_at == NOW + 7 * HOUR_SECONDS


def test_a_schedule_starts_a_training_when_it_is_due_and_up_to_an_hour_later() -> None:
    before = plan(NIGHTLY, TRAINED, NIGHT - 1)

    assert (before.trigger, before.next_at) == (None, NIGHT)
    assert before.reason == "the schedule 0 3 * * * is next due at 2026-03-03 03:00 UTC"
    assert plan(NIGHTLY, TRAINED, NIGHT).trigger == "schedule 0 3 * * *"
    assert plan(NIGHTLY, TRAINED, NIGHT + LATE_SECONDS).trigger == "schedule 0 3 * * *"
    assert plan(NIGHTLY, TRAINED, NIGHT + LATE_SECONDS + 1).trigger is None
    assert plan(NIGHTLY, replace(TRAINED, trained_at=NIGHT + 1), NIGHT + 2).trigger is None


def test_a_schedule_follows_the_time_zone_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()

    assert plan(NIGHTLY, TRAINED, NIGHT - 9 * HOUR_SECONDS).trigger == "schedule 0 3 * * *"


@pytest.mark.parametrize("policy", [NIGHTLY, DRIFT])
def test_a_data_set_that_has_not_changed_is_not_trained_again(policy: Policy) -> None:
    drifting = replace(TRAINED, labels=0, drift_since=NOW - 90 * HOUR_SECONDS)

    same = plan(policy, drifting, NIGHT)

    assert same.trigger is None
    assert same.reason.endswith("but pets hasn't changed since its training of 2026-02-28 12:00 UTC")
    assert plan(policy, replace(drifting, changes=1), NIGHT).trigger


def test_conditions_that_are_met_together_start_one_training_that_names_both() -> None:
    both = plan(Policy(after_labels=5, schedule="0 3 * * *"), replace(TRAINED, labels=5), NIGHT)

    assert both.trigger == "5 new labels and schedule 0 3 * * *"
    assert [condition.name for condition in both.conditions] == ["after_labels", "schedule"]


@pytest.mark.parametrize("wrong", ["soon", "61 3 * * *", "0 3 30 2 *", "0 3 * *"])
def test_a_wrong_schedule_is_refused_with_the_form_it_should_have(wrong: str) -> None:
    with pytest.raises(ValueError, match="write five fields of cron: minute, hour, day of month, month, day of week"):
        checked_schedule(wrong)
