"""Connections are limited in number and time."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.web.connections import Connections, default_limit
from tests.app.api.test_queue import connect, read_answer, ready
from tests.app.service import Service

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def rest(connection: socket.socket) -> bytes:
    """All bytes until the other side closes."""
    with connection.makefile("rb") as answer:
        return answer.read()


@pytest.fixture(scope="module")
def impatient(models_dir: Path) -> Iterator[Service]:
    with ready(models_dir, head_seconds=0.2) as service:
        yield service


def test_a_head_that_dribbles_in_is_ended_with_408(impatient: Service) -> None:
    with connect(impatient) as connection:
        connection.sendall(LIVE[:20])

        answer = rest(connection)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"must arrive within 0.2 seconds" in answer


def test_a_connection_that_never_says_anything_is_closed(impatient: Service) -> None:
    with connect(impatient) as connection:
        assert rest(connection) == b""


def test_a_client_that_has_been_answered_may_be_silent_for_longer(impatient: Service) -> None:
    with connect(impatient) as kept_alive:
        kept_alive.sendall(LIVE)
        assert read_answer(kept_alive)[0] == OK
        with connect(impatient) as silent:
            rest(silent)

        kept_alive.sendall(LIVE[:20])
        kept_alive.sendall(LIVE[20:])
        assert read_answer(kept_alive)[0] == OK
        kept_alive.sendall(LIVE[:20])
        assert rest(kept_alive).startswith(b"HTTP/1.1 408 ")


def test_silent_connections_never_keep_out_a_client_that_works(models_dir: Path) -> None:
    with ready(models_dir, max_connections=8) as service, ExitStack() as stack:
        kept_alive = stack.enter_context(connect(service))
        kept_alive.sendall(LIVE)
        assert read_answer(kept_alive)[0] == OK
        for _ in range(40):
            stack.enter_context(connect(service))
            with connect(service) as working:
                working.sendall(LIVE)
                assert read_answer(working)[0] == OK
        kept_alive.sendall(LIVE)
        assert read_answer(kept_alive)[0] == OK


class Connected:
    """A connection that records whether it was closed for another."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.gave_way = False

    def give_way(self) -> None:
        self.gave_way = True


def test_the_connection_that_has_waited_longest_gives_way() -> None:
    connections = Connections(limit=3)
    working, second, third, new = [Connected("a") for _ in range(4)]
    for each in (working, second, third, new):
        connections.opened(each)
        connections.waits(each) if each is not working else connections.works(each)

    assert [each.gave_way for each in (working, second, third, new)] == [False, True, False, False]


def test_connections_that_were_never_answered_are_closed_first() -> None:
    connections = Connections(limit=2)
    answered, silent, new, newest = [Connected("a") for _ in range(4)]
    for each in (answered, silent, new, newest):
        connections.opened(each)
        connections.waits(each, is_known=each is not silent)

    assert [each.gave_way for each in (answered, silent, new, newest)] == [True, True, False, False]


def test_a_new_connection_is_closed_if_all_others_work() -> None:
    connections = Connections(limit=1)
    working, new = Connected("a"), Connected("b")
    for each in (working, new):
        connections.opened(each)

    assert (working.gave_way, new.gave_way) == (False, True)


def test_one_address_may_be_limited_and_makes_room_for_itself_alone() -> None:
    connections = Connections(limit=10, limit_per_address=2)
    other, first, second, third = [Connected(host) for host in "abbb"]
    for each in (other, first, second, third):
        connections.opened(each)
        connections.waits(each)

    assert [each.gave_way for each in (other, first, second, third)] == [False, True, False, False]
    connections.closed(first)
    assert connections.count == 3


@pytest.mark.parametrize(("open_files", "limit"), [(256, 32), (1024, 624), (65536, 1000)])
def test_the_limit_leaves_room_for_files(open_files: int, limit: int) -> None:
    assert default_limit(open_files) == limit
