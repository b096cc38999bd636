"""HEAD on all routes with GET, and `Allow` with every method that an address accepts."""

import anyio
import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.web.methods import HeadRequests
from tests.app.api.test_datasets import picture, zipped
from tests.app.api.test_who_may_look import ADDRESSES, Filled, filled
from tests.app.service import ADMIN, Service
from tests.app.web.test_problem_details import check
from tests.waiting import PATIENCE_SECONDS, until

__all__ = ["filled"]

EVENTS = "/retrain/{job}/events"
CHANGES = {"date", "x-request-id"}  # from answer to answer
COUNTED = {"/metrics", "/queue"}  # numbers that this test itself changes


def _lasting(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in CHANGES}


@pytest.mark.parametrize("template", ADDRESSES)
def test_head_has_the_status_and_headers_of_get_and_no_body(filled: Filled, template: str) -> None:
    got, head = (filled.get(template, ADMIN, method) for method in ("GET", "HEAD"))

    assert (head.status_code, head.content) == (got.status_code, b"")
    if template not in COUNTED:
        assert _lasting(head) == _lasting(got)


@pytest.mark.parametrize("path", ["/nothing", "/models/9", "/models/x", "/retrain/nothing", "/predict", "/v2/models/x"])
def test_head_has_the_status_and_headers_of_what_get_is_refused(filled: Filled, path: str) -> None:
    got, head = (filled.service.client.request(method, path, headers=ADMIN) for method in ("GET", "HEAD"))

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert got.is_client_error
    assert _lasting(head) == _lasting(got)


def test_head_of_a_stream_of_events_does_not_wait_for_them(keeper: Service) -> None:
    members = {f"{label}/{n}.png": picture(n + 100 * (label == "dog")) for label in ("cat", "dog") for n in range(20)}
    keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)}).raise_for_status()
    job = keeper.client.post("/retrain", json={"dataset": "pets"}).json()["id"]

    head = keeper.client.head(f"/retrain/{job}/events")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"].startswith("text/event-stream")
    assert keeper.client.get("/health/live").is_success, "on the same connection"


def test_a_request_for_the_head_is_counted_as_one(keeper: Service) -> None:
    keeper.client.head("/models/1")

    counted = 'catdog_requests_total{method="HEAD",route="/models/{version}",status="200"} 1'
    until(lambda: counted in keeper.client.get("/metrics").text)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", "POST"),
        ("HEAD", "/predict", "POST"),
        ("POST", "/model", "GET, HEAD"),
        ("PUT", "/models/1", "DELETE, GET, HEAD"),
        ("POST", "/retrain/latest", "DELETE, GET, HEAD"),
        ("PATCH", "/retrain", "GET, HEAD, POST"),
        ("DELETE", "/", "GET, HEAD"),
        ("DELETE", "/openapi.json", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_allowed_is_answered_with_the_allowed_ones(
    service: Service, method: str, path: str, allowed: str
) -> None:
    response = service.client.request(method, path, headers=ADMIN)

    assert (response.status_code, response.headers["Allow"]) == (405, allowed)
    if method != "HEAD":
        check(response, "method-not-allowed", 405)
        assert allowed in response.json()["detail"]


def test_a_request_for_the_head_ends_what_would_go_on_for_ever() -> None:
    sent: list[Message] = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await anyio.sleep_forever()

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(message: Message) -> None:
        sent.append(message)

    async def ask() -> None:
        with anyio.fail_after(PATIENCE_SECONDS):
            await HeadRequests(endless)({"type": "http", "method": "HEAD"}, receive, send)

    anyio.run(ask)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
