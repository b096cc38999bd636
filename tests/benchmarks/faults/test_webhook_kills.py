import sys

import pytest

from benchmarks.faults import webhook_kills
from benchmarks.faults.webhook_kills import Acknowledged, problems
from benchmarks.faults.webhook_receiver import Receiver
from catdog.webhooks.deliveries import Delivery
from catdog.webhooks.message import Kind, Status


@pytest.mark.whole
def test_a_killed_service_loses_no_event(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["webhook_kills", "--kills", "2"])

    assert webhook_kills.main() == 0

    said = capsys.readouterr().out
    assert "2 kills; acknowledged: " in said
    assert "every acknowledged change has its event, and every event arrived" in said


def event(number: int, kind: Kind, **data: object) -> Delivery:
    return Delivery(number, f"evt_{number}", kind, data, 0, "", Status.DELIVERED, 1, 0, None, 0, None)


def test_what_is_missing_is_found() -> None:
    noted = Acknowledged({("a", "created"), ("b", "added")}, [(Kind.VERSION_PROMOTED, 2), (Kind.VERSION_PROMOTED, 3)])
    receiver = Receiver()
    events = [
        event(1, Kind.VERSION_PROMOTED, version=3),
        event(2, Kind.VERSION_PROMOTED, version=2),
        event(3, Kind.DATASET_CHANGED, dataset="a", change="created"),
    ]
    receiver.arrivals.update(["evt_1", "evt_2", "evt_2"])

    assert problems(events, receiver, noted) == [
        "no event says that data set b was added",
        "no event version.promoted 3",
        "event 3 (dataset.changed, delivered) never arrived",
    ]
