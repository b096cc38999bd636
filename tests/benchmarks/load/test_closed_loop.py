from itertools import cycle
from pathlib import Path

import pytest

from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import running
from benchmarks.load import closed_loop
from benchmarks.load.client import Client
from benchmarks.load.closed_loop import Load
from benchmarks.load.exchanges import response
from tests.benchmarks import services

UPLOADS = [Upload.of(bytes([number]) * 200_000) for number in range(5)]
REQUESTS = [upload.request for upload in UPLOADS]


def load(answer: str, folder: Path, clients: int, seconds: float) -> Load:
    with running(services.command(answer), {}, folder) as process, Client(process.port) as client:
        process.seconds_until(lambda: client.predict(UPLOADS[0]) is not None)
        return closed_loop.ask(process.port, REQUESTS, cycle(range(5)), clients, seconds)


@pytest.mark.parametrize("answer", [services.SOUND, services.CHUNKED])
@pytest.mark.parametrize("clients", [1, 8])
def test_every_client_asks_and_every_answer_counts(tmp_path: Path, answer: str, clients: int) -> None:
    found = load(answer, tmp_path, clients, 0.2)

    assert found.answered > clients
    assert found.failures == 0
    assert set(found.answers.values()) == {b'{"probabilities": {"cat": 1.0, "dog": 0.0}}'}
    assert set(found.answers) == set(range(5))
    assert found.seconds >= 0.2
    assert 0 < found.client_cpu_seconds < found.seconds


def test_in_no_time_each_client_still_asks_once(tmp_path: Path) -> None:
    assert load(services.SOUND, tmp_path, clients=8, seconds=0).answered == 8


def test_an_answer_of_500_is_counted_as_a_failure(tmp_path: Path) -> None:
    found = load(services.EVERY_OTHER_FAILS, tmp_path, clients=1, seconds=0.2)

    assert found.failures > 0
    assert abs(found.failures - found.answered) <= 1


def test_a_service_that_hangs_up_or_is_gone_is_counted_as_failures(tmp_path: Path) -> None:
    with running(services.command(services.SOUND), {}, tmp_path) as process, Client(process.port) as client:
        process.seconds_until(lambda: client.predict(UPLOADS[0]) is not None)
    gone = closed_loop.ask(process.port, REQUESTS, cycle(range(5)), 2, 0.01)
    with running(services.command(services.HANGS_UP), {}, tmp_path) as process, Client(process.port) as client:
        process.seconds_until(lambda: "POST" in process.log.read_text() or client.predict(UPLOADS[0]) is None)
        hung_up = closed_loop.ask(process.port, REQUESTS, cycle(range(5)), 2, 0.1)

    assert (gone.answered, hung_up.answered) == (0, 0)
    assert gone.failures > 2
    assert hung_up.failures > 2


def test_percentiles_are_of_what_was_answered() -> None:
    found = Load(1, 2.0, tuple(number / 1000 for number in range(101)), 3, 0.1, {})

    assert found.requests_a_second == 50.5
    assert found.percentile_seconds(50) == pytest.approx(0.05)
    assert found.percentile_seconds(99) == pytest.approx(0.099)
    assert Load(1, 2.0, (), 3, 0.1, {}).percentile_seconds(50) is None


def test_an_answer_without_a_length_is_no_answer() -> None:
    assert response(b"HTTP/1.1 200 OK\r\ncontent-len") is None
    with pytest.raises(ValueError, match="no length"):
        response(b"HTTP/1.1 200 OK\r\n\r\n{}")
