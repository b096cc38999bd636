"""When the client asks again, and when it gives up."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from catdog.client import Client, ClientError, Problem, ProblemError, Unavailable, Unreachable
from catdog.client.calls import JITTER
from tests.catdog.client.scripted import Response, scripted

ANSWER = Response(
    200,
    b'{"label": "cat", "probability": 0.9, "probabilities": {"cat": 0.9, "dog": 0.1}, "unknown": false,'
    b' "familiarity": null, "model_version": 1, "prediction_id": "1", "something": "new"}',
)
BUSY = Response(
    503,
    b'{"type": "urn:catdog:problem:overloaded", "title": "It is overloaded", "status": 503, "detail": "retry later"}',
    {"Retry-After": "1", "Content-Type": "application/problem+json"},
)


LIMITED = Response(429, headers={"Retry-After": "1"})


@pytest.mark.parametrize("refusal", [BUSY, LIMITED])
def test_a_service_that_names_a_time_is_asked_again_after_it(refusal: Response) -> None:
    with scripted(refusal, ANSWER) as server, Client(server.url) as client:
        assert client.predict(b"photo").label == "cat"

    first, second = server.moments
    assert 1 <= second - first < 1 + JITTER + 1
    assert server.bodies == [b"photo", b"photo"]


def test_a_date_says_when_to_ask_again() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    with scripted(Response(503, headers={"Retry-After": later}), ANSWER) as server, Client(server.url) as client:
        client.predict(b"photo")

    assert server.moments[1] - server.moments[0] > 0.5


def test_clients_do_not_come_back_all_at_once() -> None:
    gaps = []
    for _ in range(2):
        with scripted(BUSY, ANSWER) as server, Client(server.url) as client:
            client.predict(b"photo")
        gaps.append(server.moments[1] - server.moments[0])

    assert abs(gaps[0] - gaps[1]) > 1e-4


def test_it_gives_up_when_the_pauses_are_longer_than_allowed() -> None:
    with (
        scripted(BUSY) as server,
        Client(server.url, retry_seconds=0.5) as client,
        pytest.raises(Unavailable, match="retry later") as raised,
    ):
        client.predict(b"photo")

    assert raised.value.problem == Problem("urn:catdog:problem:overloaded", "It is overloaded", 503, "retry later")
    assert len(server.moments) == 1


def test_without_a_time_it_does_not_ask_again() -> None:
    with (
        scripted(Response(503, b"no JSON")) as server,
        Client(server.url) as client,
        pytest.raises(Unavailable, match="503 Service Unavailable"),
    ):
        client.predict(b"photo")


def test_a_training_that_is_asked_for_again_has_the_same_key() -> None:
    wrong = Response(400, b"[]")
    with scripted(BUSY, wrong) as server, Client(server.url) as client, pytest.raises(ProblemError):
        client.retrain("pets")

    first, second = server.keys
    assert first
    assert first == second


def test_a_server_of_another_kind_is_named() -> None:
    with (
        scripted(Response(200, b"<html>")) as server,
        Client(server.url) as client,
        pytest.raises(ClientError, match="doesn't answer like a catdog"),
    ):
        client.predict(b"photo")


def test_an_address_without_a_server_is_named() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(Unreachable, match=r"http://127.0.0.1:9 doesn't answer"):
        client.predict(b"photo")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://example.com", "http://", "http://a:b"])
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="is no URL"):
        Client(url)
