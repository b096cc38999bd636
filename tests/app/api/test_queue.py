"""The queue over HTTP: when it is full, late, measured and drained."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.service import Service, serving
from tests.app.watching import WatchedEngine, photo
from tests.app.web.test_problem_details import StumblingEngine, check
from tests.waiting import PATIENCE_SECONDS, until

MIB = 2**20
OURS = ("decoder", "inference")


@contextmanager
def ready(models_dir: Path, **settings: Any) -> Iterator[Service]:
    with serving(models_dir, worker="none", **settings) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


@contextmanager
def watched(service: Service, largest_batch: int = 1) -> Iterator[WatchedEngine]:
    """The champion's engine, held until it is released, at the latest at the end."""
    engine = WatchedEngine(service.predictor.champion.engine, largest_batch=largest_batch)
    engine.let_go.clear()
    with service.with_engine(lambda _: engine):
        try:
            yield engine
        finally:
            engine.let_go.set()


def queue(service: Service) -> dict[str, Any]:
    state: dict[str, Any] = service.client.get("/queue").raise_for_status().json()
    return state


def ask(service: Service, shade: int) -> httpx.Response:
    return service.client.post("/predict", content=photo(shade))


def ask_for_batch(service: Service, *shades: int) -> httpx.Response:
    return service.client.post("/predict/batch", files=[("file", photo(shade)) for shade in shades])


def connect(service: Service) -> socket.socket:
    url = service.client.base_url
    return socket.create_connection((url.host, url.port or 0), PATIENCE_SECONDS)


def head(path: str, length: int, *more: str) -> bytes:
    """The head of a request whose body has this length."""
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *more)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def begin_upload(connection: socket.socket, length: int) -> None:
    """Send a request's head, and wait for `100 Continue`."""
    connection.sendall(head("/predict", length, "Content-Type: image/png", "Expect: 100-continue"))
    assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"


def read_answer(connection: socket.socket) -> tuple[bytes, bytes]:
    """The first line of an answer, and its body."""
    with connection.makefile("rb") as answer:
        first = answer.readline()
        headers = dict(line.rstrip().split(b": ", 1) for line in iter(answer.readline, b"\r\n"))
        return first, answer.read(int(headers[b"content-length"]))


def check_overloaded(response: httpx.Response) -> None:
    check(response, "overloaded", 503)
    assert int(response.headers["Retry-After"]) >= 1


def test_a_queue_at_rest_is_empty(models_dir: Path) -> None:
    with ready(models_dir, queue_items=7) as service:
        state = queue(service)

    counts = dict.fromkeys(("depth", "answered", "cached", "refused", "expired", "abandoned"), 0)
    nothing = {"decode_seconds": None, "wait_seconds": None, "infer_seconds": None}
    assert state == {**counts, "limit": 7, "recent": {"photos": 0, "batch_sizes": {}, **nothing}}


def test_a_queue_says_how_deep_it_is_and_how_long_the_last_photos_took(models_dir: Path) -> None:
    with ready(models_dir) as service, ThreadPoolExecutor(3) as elsewhere:
        with watched(service, largest_batch=8) as engine:
            first = elsewhere.submit(ask, service, 0)
            until(lambda: engine.seen == [0])
            others = [elsewhere.submit(ask, service, shade) for shade in (1, 2)]
            until(lambda: queue(service)["depth"] == 3)
        assert [each.result().status_code for each in (first, *others)] == [200] * 3
        state = queue(service)

    recent = state["recent"]
    assert (state["depth"], state["answered"], recent["photos"]) == (0, 3, 3)
    assert sum(int(size) * count for size, count in recent["batch_sizes"].items()) == 3
    for part in ("decode_seconds", "wait_seconds", "infer_seconds"):
        assert 0 < recent[part]["p50"] <= recent[part]["p99"]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_full_queue_refuses_a_request_before_its_body_is_asked_for(models_dir: Path, path: str) -> None:
    """While the engine is held: the refusal doesn't wait for it."""
    with ready(models_dir, queue_items=1) as service, ThreadPoolExecutor(1) as elsewhere, watched(service) as engine:
        first = elsewhere.submit(ask, service, 0)
        until(lambda: engine.seen == [0])

        with connect(service) as connection:
            connection.sendall(head(path, 10 * MIB, "Content-Type: image/png", "Expect: 100-continue"))
            status_line, body = read_answer(connection)
        check_overloaded(ask(service, 1))
        check_overloaded(ask_for_batch(service, 1, 2))
        state = queue(service)

        engine.let_go.set()
        assert first.result().status_code == 200
        assert ask(service, 2).status_code == 200

    assert status_line == b"HTTP/1.1 503 Service Unavailable\r\n"
    assert json.loads(body)["type"] == "urn:catdog:problem:overloaded"
    assert (state["depth"], state["refused"]) == (1, 3)
    assert engine.seen == [0, 2]


def test_a_queue_that_fills_up_during_an_upload_refuses_the_photo(models_dir: Path) -> None:
    with ready(models_dir, queue_items=1) as service, ThreadPoolExecutor(1) as elsewhere, watched(service) as engine:
        with connect(service) as connection:
            begin_upload(connection, len(photo(1)))
            first = elsewhere.submit(ask, service, 0)
            until(lambda: engine.seen == [0])
            connection.sendall(photo(1))
            status_line, _ = read_answer(connection)

        engine.let_go.set()
        assert first.result().status_code == 200

    assert status_line == b"HTTP/1.1 503 Service Unavailable\r\n"
    assert engine.seen == [0]


def _broken(service: Service) -> None:
    broken = service.client.post("/predict", content=photo(1)[:-20])
    check(broken, "broken-image", 422)


def _stumbling(service: Service) -> None:
    with service.with_engine(lambda _: StumblingEngine()):
        check(ask(service, 1), "internal-error", 500)


def _a_batch_of_both(service: Service) -> None:
    with service.with_engine(lambda _: StumblingEngine()):
        answer = service.client.post("/predict/batch", files=[("file", photo(1)), ("file", b"no photo")])
    assert [result["problem"]["status"] for result in answer.json()["results"]] == [500, 415]


def _too_large(service: Service) -> None:
    check(service.client.post("/predict", content=bytes(11 * MIB)), "too-large", 413)


@pytest.mark.parametrize("fail", [_broken, _stumbling, _a_batch_of_both, _too_large])
def test_what_fails_gives_its_place_back(models_dir: Path, fail: Callable[[Service], None]) -> None:
    with ready(models_dir, queue_items=2, max_uploads=1) as service:
        for _ in range(3):  # more requests than places
            fail(service)
            assert queue(service)["depth"] == 0
        assert ask(service, 1).status_code == 200


def test_an_expired_photo_is_answered_so_and_frees_its_place(models_dir: Path) -> None:
    with ready(models_dir, queue_items=1, deadline_seconds=0.05) as service, watched(service) as engine:
        while not engine.seen:  # on a busy machine a request may expire before it
            ask(service, 0)
        expired = [ask(service, 1), ask(service, 2)]
        batch = ask_for_batch(service, 3, 4).json()["results"]
        state = queue(service)

        engine.let_go.set()
        until(lambda: ask(service, 5).is_success)

    for response in expired:
        check(response, "expired", 503)
        assert int(response.headers["Retry-After"]) >= 1
    assert [result["problem"]["type"] for result in batch] == ["urn:catdog:problem:expired"] * 2
    assert (state["depth"], state["refused"]) == (0, 0)
    assert state["expired"] >= 4
    assert set(engine.seen) == {0, 5}


def test_the_number_of_uploads_is_limited_and_a_stalled_one_makes_room(models_dir: Path) -> None:
    with ready(models_dir, max_uploads=1) as service, connect(service) as slow:
        begin_upload(slow, len(photo(0)))

        assert ask(service, 1).status_code == 200

        first_line, problem = read_answer(slow)
        assert first_line == b"HTTP/1.1 503 Service Unavailable\r\n"
        assert json.loads(problem)["type"] == "urn:catdog:problem:overloaded"
        assert ask_for_batch(service, 1).status_code == 200


def test_an_upload_that_is_broken_off_gives_its_place_back(models_dir: Path) -> None:
    with ready(models_dir, max_uploads=1) as service:
        with connect(service) as slow:
            begin_upload(slow, 1000)
            assert service.app.state.bodies.taken == 1

        until(lambda: service.app.state.bodies.taken == 0)
        assert service.app.state.bodies.held_bytes == 0


def test_what_is_in_the_queue_at_a_shutdown_is_answered_and_the_threads_end(models_dir: Path) -> None:
    before = set(threading.enumerate())
    with ThreadPoolExecutor(4) as elsewhere:
        with ready(models_dir, drain_seconds=PATIENCE_SECONDS) as service:
            address = str(service.client.base_url)
            engine = WatchedEngine(service.predictor.champion.engine)
            engine.let_go.clear()
            service.predictor.swap(replace(service.predictor.champion, engine=engine))
            answers = [elsewhere.submit(httpx.post, f"{address}/predict", content=photo(shade)) for shade in range(3)]
            until(lambda: queue(service)["depth"] == 3)
            closing = elsewhere.submit(_let_go_once_closed, engine, service)
        closing.result()

    assert [answer.result().status_code for answer in answers] == [200] * 3
    assert sorted(engine.seen) == [0, 1, 2]
    until(lambda: not [each for each in set(threading.enumerate()) - before if each.name.startswith(OURS)])


def _let_go_once_closed(engine: WatchedEngine, service: Service) -> None:
    """Release the engine once the service accepts no connections, so that it drains."""

    def is_closed() -> bool:
        try:
            connect(service).close()
        except ConnectionError:
            return True
        return False

    until(is_closed)
    engine.let_go.set()


def test_no_answer_goes_to_another_caller_over_http(models_dir: Path) -> None:
    shades = range(0, 120, 6)
    with ready(models_dir) as service, ThreadPoolExecutor(8) as elsewhere:
        expected = [ask(service, shade).json()["probabilities"] for shade in shades]
        answers: list[Future[httpx.Response]] = [elsewhere.submit(ask, service, shade) for shade in shades]
        found = [answer.result().json()["probabilities"] for answer in answers]

    assert len({each["cat"] for each in expected}) == len(shades)
    assert [each["cat"] for each in found] == pytest.approx([each["cat"] for each in expected], abs=1e-7)
