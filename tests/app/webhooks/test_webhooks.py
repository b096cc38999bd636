"""Events reach a real receiver, whatever becomes of it and of the service in between."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app import metrics
from app.main import create_app
from app.settings import Settings, SettingsError
from app.webhooks import sender
from catdog.versions.store import Store
from catdog.webhooks import deliveries
from tests.app.api.test_datasets import picture
from tests.app.process import start
from tests.app.scraping import scrape
from tests.app.service import ADMIN, ADMIN_KEY, Service, publish, serving
from tests.app.web.test_problem_details import check
from tests.app.webhooks.receiver import ANOTHER, SECRET, Receiver, answering
from tests.waiting import until


@pytest.fixture(scope="module", autouse=True)
def quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sender, "LOOK_SECONDS", 0.05)
        patch.setattr(deliveries, "FIRST_SECONDS", 0.1)
        yield


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def notifying(listening: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with three versions that sends its events to the receiver."""
    models_dir: Path = tmp_path_factory.mktemp("models")
    for seed in range(3):
        publish(models_dir, head_seed=seed)
    settings: dict[str, Any] = {"webhook_urls": (listening.url,), "webhook_private": True}
    with serving(models_dir, worker="none", webhook_secret=SecretStr(SECRET), **settings) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        until(lambda: service.client.get("/webhooks").json()["urls"] == [listening.url])
        yield service


@pytest.fixture
def receiver(listening: Receiver, notifying: Service) -> Iterator[Receiver]:
    """A receiver that nothing waits for."""
    listening.answer = None
    until(lambda: not listed(notifying, "waiting"))
    listening.requests.clear()
    yield listening
    listening.answer = None


def listed(service: Service, status: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.client.get(f"/webhooks{status and f'?status={status}'}").json()["deliveries"]
    return found


def create(service: Service, dataset: str) -> None:
    service.client.post("/datasets", json={"name": dataset}).raise_for_status()


def ended(service: Service) -> dict[str, Any]:
    """The newest delivery, once it doesn't wait any more."""
    until(lambda: listed(service)[0]["status"] != "waiting")
    return listed(service)[0]


def change(service: Service, patch: pytest.MonkeyPatch, **settings: object) -> None:
    """Run the sending of events with other settings."""
    changed = service.app.state.settings.model_copy(update=settings)
    for part in (service.app.state.webhooks, service.app.state.database):
        patch.setattr(part, "_settings", changed)


def test_each_kind_of_change_is_an_event_signed_and_dated(notifying: Service, receiver: Receiver) -> None:
    client = notifying.client
    photo = {"label": "cat"}, {"file": picture(1)}
    client.post("/datasets/first/images", data=photo[0], files=photo[1]).raise_for_status()
    client.post("/datasets/first/images", data=photo[0], files=photo[1]).raise_for_status()  # it is known: no event
    client.post("/models/2/promote").raise_for_status()
    client.post("/rollback").raise_for_status()
    create(notifying, "last")
    receiver.wait_for("dataset.changed", 2)
    until(lambda: len(receiver.accepted) == 4)

    events = sorted(receiver.accepted, key=lambda event: str(event["timestamp"]))
    assert [(event["type"], event["data"]) for event in events] == [
        ("dataset.changed", {"dataset": "first", "change": "added", "source": "upload", "pictures": 1}),
        ("version.promoted", {"version": 2, "previous": 1}),
        ("version.rolled_back", {"version": 1, "previous": 2}),
        ("dataset.changed", {"dataset": "last", "change": "created", "pictures": 0}),
    ]
    assert {event["id"] for event in events} == {request.id for request in receiver.requests}
    assert all(abs(request.timestamp - time()) < 60 for request in receiver.requests)
    assert all(request.is_genuine for request in receiver.requests)


def test_an_ended_job_is_an_event_however_it_ends(notifying: Service, receiver: Receiver) -> None:
    jobs = notifying.app.state.database.jobs
    succeeded, cancelled = jobs.submit({"dataset": "pets"}), jobs.submit({"dataset": "pets"})
    jobs.claim("the test").end("succeeded", "it went well", version=2)
    jobs.cancel(cancelled.id)

    said = {event["data"]["job"]: event["data"] for event in receiver.wait_for("job.ended", 2)}

    assert said[succeeded.id]["status"] == "succeeded"
    assert (said[succeeded.id]["version"], said[succeeded.id]["reason"]) == (2, "it went well")
    assert said[cancelled.id]["status"] == "cancelled"


def test_a_promotion_by_the_command_line_is_found(notifying: Service, receiver: Receiver) -> None:
    store = Store(notifying.app.state.settings.models_dir)
    store.promote(3)
    assert receiver.wait_for("version.promoted")[0]["data"]["version"] == 3

    store.roll_back()
    assert receiver.wait_for("version.rolled_back")[0]["data"] == {"version": 1, "previous": 3}


def test_a_receiver_that_fails_first_gets_the_event_again(notifying: Service, receiver: Receiver) -> None:
    receiver.answer = answering(500, times=2)
    create(notifying, "again")

    delivered = ended(notifying)
    assert (delivered["status"], delivered["attempts"], delivered["problem"]) == ("delivered", 3, None)
    assert [request.id for request in receiver.requests] == [delivered["event"]] * 3


def test_a_receiver_that_was_down_gets_the_event_once_it_is_up(notifying: Service, receiver: Receiver) -> None:
    receiver.stop()
    create(notifying, "down")
    until(lambda: listed(notifying)[0]["attempts"] >= 2)
    waiting = listed(notifying)[0]
    assert (waiting["status"], waiting["problem"]) == ("waiting", "the connection failed: Connection refused")

    receiver.start()

    assert receiver.wait_for("dataset.changed")[0]["data"]["dataset"] == "down"
    assert ended(notifying)["problem"] is None


def test_a_slow_receiver_is_not_waited_for_and_delays_nothing_else(
    notifying: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver.silent(), monkeypatch.context() as patch:
        change(notifying, patch, webhook_seconds=0.2)
        create(notifying, "slow")
        until(lambda: listed(notifying)[0]["problem"] == "there was no answer within 0.2 seconds")
        began = time()
        notifying.client.post("/predict", files={"file": picture(1)}).raise_for_status()
        assert time() - began < 10

    assert ended(notifying)["status"] == "delivered"


def test_a_receiver_with_another_secret_sees_that(notifying: Service, receiver: Receiver) -> None:
    receiver.secret = ANOTHER
    create(notifying, "wrong")
    until(lambda: listed(notifying)[0]["problem"] == "the answer was 401")
    assert receiver.accepted == []

    receiver.secret = SECRET
    assert ended(notifying)["status"] == "delivered"


def test_what_failed_is_kept_and_sent_again_on_request(
    notifying: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(notifying, monkeypatch, webhook_hours=1e-6)
    receiver.answer = answering(500)
    create(notifying, "failed")
    failed = ended(notifying)
    assert (failed["status"], failed["problem"], failed["next_at"]) == ("failed", "the answer was 500", None)

    receiver.answer = None
    replayed = notifying.client.post(f"/webhooks/{failed['id']}/replay")

    assert (replayed.status_code, replayed.json()["event"]) == (202, failed["event"])
    assert receiver.wait_for("dataset.changed")[0]["id"] == failed["event"]
    assert ended(notifying)["status"] == "delivered"
    check(notifying.client.post("/webhooks/999999/replay"), "delivery-not-found", 404)


def test_events_are_counted_by_status(notifying: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 0.0)

    def counted(status: str) -> float:
        return scrape(notifying).find("catdog_webhook_deliveries", status=status) or 0

    until(lambda: counted("waiting") == 0)
    before = counted("delivered")
    receiver.stop()
    create(notifying, "counted")
    until(lambda: counted("waiting") == 1)

    receiver.start()
    until(lambda: counted("delivered") == before + 1)


def test_a_test_event_can_be_sent(notifying: Service, receiver: Receiver) -> None:
    sent = notifying.client.post("/webhooks/test")

    assert sent.status_code == 202
    assert [one["url"] for one in sent.json()["deliveries"]] == [receiver.url]
    assert receiver.wait_for("webhook.test")[0]["id"] == sent.json()["deliveries"][0]["event"]


def test_without_a_url_there_is_nothing_to_send_and_no_secret_is_made(keeper: Service) -> None:
    create(keeper, "pets")

    assert keeper.client.get("/webhooks").json() == {"urls": [], "deliveries": []}
    check(keeper.client.post("/webhooks/test"), "no-webhook", 409)
    assert not (keeper.app.state.settings.data_dir / sender.SECRET_FILE).exists()


def test_a_promotion_does_not_wait_for_a_database(notifying: Service, receiver: Receiver) -> None:
    """It is recorded once the database answers again."""
    database = notifying.app.state.database.database
    database._spared = float("inf"), "it doesn't answer"
    try:
        notifying.client.post("/models/2/promote").raise_for_status()
        assert notifying.client.get("/webhooks").status_code == 503
    finally:
        database._spared = 0.0, ""

    assert receiver.wait_for("version.promoted")[0]["data"] == {"version": 2, "previous": 1}
    notifying.client.post("/rollback").raise_for_status()


def test_the_secret_is_made_once_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, models_dir=tmp_path, webhook_urls=("https://example.com/",))
    keys = [create_app(settings).state.webhooks._keys for _ in range(2)]
    assert keys[0] == keys[1]
    assert len(keys[0][0]) == 32

    (tmp_path / sender.SECRET_FILE).write_text("secret")
    with pytest.raises(
        SettingsError, match=r"webhook.secret: a secret of webhooks is whsec_ and .*; delete it to have"
    ):
        create_app(settings)


@pytest.mark.whole
def test_a_service_killed_between_a_change_and_its_delivery_sends_the_event_after_the_next_start(
    receiver: Receiver, tmp_path: Path
) -> None:
    for seed in range(2):
        publish(tmp_path / "models", head_seed=seed)
    settings = {
        "CATDOG_MODELS_DIR": str(tmp_path / "models"),
        "CATDOG_ADMIN_KEY": ADMIN_KEY,
        "CATDOG_WORKER": "none",
        "CATDOG_WEBHOOK_URLS": receiver.url,
        "CATDOG_WEBHOOK_SECRET": SECRET,
        "CATDOG_WEBHOOK_PRIVATE": "true",
    }
    photo: dict[str, Any] = {"data": {"label": "cat"}, "files": {"file": picture(1)}}
    with started(tmp_path, **settings, FAILPOINTS="champion.changed") as url:
        until(lambda: httpx.get(f"{url}/webhooks", headers=ADMIN).json()["urls"] != [], every=0.05)
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{url}/models/2/promote", headers=ADMIN)
    assert Store(tmp_path / "models").champion() == 2
    with started(tmp_path, **settings, FAILPOINTS="pictures.added") as url, pytest.raises(httpx.TransportError):
        httpx.post(f"{url}/datasets/killed/images", headers=ADMIN, **photo)
    with started(tmp_path, **settings):
        assert receiver.wait_for("version.promoted")[0]["data"] == {"version": 2, "previous": 1}
        assert receiver.wait_for("dataset.changed")[0]["data"]["dataset"] == "killed"


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[str]:
    """The URL of a service in its own process, once it is ready; killed at the end."""
    popen = start(folder, HOST="127.0.0.1", PORT="0", **settings)
    try:
        assert popen.stderr is not None
        address = re.search(r"http://[\d.:]+", next(line for line in popen.stderr if " serves " in line))
        assert address is not None
        yield address[0]
    finally:
        popen.kill()
        popen.communicate()
