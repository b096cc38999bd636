from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import running
from benchmarks.load.client import Client
from benchmarks.load.exchanges import Answered
from benchmarks.load.open_loop import OpenLoop, p99_milliseconds
from tests.benchmarks import services
from tests.waiting import until

UPLOADS = [Upload.of(bytes(1000)), Upload.of(bytes(2000))]
RATE = 50


def test_photos_are_sent_when_they_are_due_however_many_wait_for_their_answers(tmp_path: Path) -> None:
    """The service answers only after the last of several requests has arrived, so the first have waited for all."""
    command = services.command(services.WAITS_FOR_OTHERS)
    with running(command, {}, tmp_path) as process, Client(process.port) as client:
        process.seconds_until(lambda: client.predict(UPLOADS[0]) is not None)
        with OpenLoop(process.port, UPLOADS, RATE) as load:
            until(lambda: len(load.answered) >= services.TOGETHER)
    answered = sorted(load.answered, key=lambda one: one.due)

    assert answered[0].seconds >= (services.TOGETHER - 1) / RATE
    assert answered[0].seconds > answered[services.TOGETHER // 2].seconds
    assert [one.place for one in answered[:4]] == [0, 1, 0, 1]
    gaps = {round(later.due - one.due, 6) for one, later in pairwise(answered)}
    assert gaps == {1 / RATE}
    assert load.failures == 0
    assert len(load.latencies_seconds) == len(answered)


def test_failures_are_counted_and_are_no_latencies(tmp_path: Path) -> None:
    command = services.command(services.EVERY_OTHER_FAILS)
    with running(command, {}, tmp_path) as process, Client(process.port) as client:
        process.seconds_until(lambda: client.predict(UPLOADS[0]) is not None)
        with OpenLoop(process.port, UPLOADS, RATE) as load:
            until(lambda: len(load.answered) >= 10)

    assert 0 < load.failures < len(load.answered)
    assert len(load.latencies_seconds) + load.failures == len(load.answered)


def test_a_burst_in_one_window_does_not_make_the_99th_percentile() -> None:
    windows = [(0.0, 0.01), (5.0, 0.02), (10.0, 3.0)]
    answered = [Answered(0, due + number / 100, seconds, b"{}") for due, seconds in windows for number in range(100)]

    assert p99_milliseconds([*answered, Answered(0, 1.0, 9.0, None)]) == pytest.approx(20)
