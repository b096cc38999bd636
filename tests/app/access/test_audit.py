"""The audit log: what writes leaves an entry with who, from where and what."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update

from app.access.settings_record import SettingsRecord
from app.web import auditing
from catdog.access.roles import Role
from catdog.audit.log import AuditLog, Entry, Wanted
from catdog.database import Database
from catdog.jobs.job import Status
from catdog.tables import audit
from tests.app.access.test_key_routes import bearer
from tests.app.access.test_matrix import NAMES, ROLES, Address, routed
from tests.app.api.test_datasets import picture, zipped
from tests.app.service import ADMIN, Service, publish, serving
from tests.command.running import Catdog
from tests.waiting import until

# What isn't audited of all that isn't GET: predictions, and what only asks or caches.
READING = {
    *(address for address, role in ROLES.items() if address.method == "POST" and role is Role.PREDICT),
    Address("POST", "/datasets/{name}/looks"),
    Address("POST", "/label-studio/setup"),
    Address("POST", "/label-studio/predict"),
}
ARCHIVE = {f"{label}/{n}.png": picture(n + 9 * (label == "dog")) for label in ("cat", "dog") for n in range(3)}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two versions, whose client sends the admin key."""
    models_dir = tmp_path_factory.mktemp("models")
    publish(models_dir)
    publish(models_dir, head_seed=8)
    with serving(models_dir, worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        settle(service)
        yield service


@pytest.fixture(autouse=True)
def no_limit_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "MOST_FAILED", 10_000)


def log(service: Service) -> AuditLog:
    found: AuditLog = service.app.state.database.audit
    return found


def settle(service: Service) -> None:
    """Wait for the entry about the settings, which is added soon after the start."""
    until(lambda: any(log(service).pages(Wanted(action="settings"))))


def newest(service: Service) -> Entry:
    return log(service).page(limit=1)[0]


def test_every_route_that_writes_leaves_an_entry_even_if_it_refuses(audited: Service) -> None:
    writing = {address for address in routed(audited.app) if address.method != "GET"} - READING
    assert len(writing) > 18
    named = audited.app.state.database.keys.create("reader", Role.PREDICT).secret
    for address in writing:
        template = f"{address.method} {address.template}"
        values = {name: value for name, value in NAMES.items() if f"{{{name}}}" in address.template}
        for key, name, status in (("wrong", "", 401), (named, "reader", 403)):
            audited.client.request(*address._replace(template=address.path), headers=bearer(key))
            entry = newest(audited)
            assert (entry.action, entry.key, entry.status) == (template, name, status)
            assert {k: str(v) for k, v in entry.details.items() if k in values} == values
        response = audited.client.request(*address._replace(template=address.path))
        entry = newest(audited)
        assert (entry.action, entry.key, entry.status) == (template, "admin key", response.status_code)
        assert entry.request == response.headers["X-Request-ID"]
        assert entry.address == "127.0.0.1"


def test_reading_and_predictions_leave_none(audited: Service, jpeg: bytes) -> None:
    before = newest(audited).id
    for address in (*READING, *(address for address in routed(audited.app) if address.method == "GET")):
        with audited.client.stream(*address._replace(template=address.path)):
            pass
    assert audited.client.post("/predict", content=jpeg).is_success

    assert newest(audited).id == before


def test_an_entry_tells_what_was_changed(audited: Service, jpeg: bytes) -> None:
    client = audited.client
    prediction = client.post("/predict", content=jpeg).json()["prediction_id"]

    def told(response: Any) -> dict[str, Any]:
        assert response.is_success, response.text
        entry = newest(audited)
        assert (entry.status, entry.request) == (response.status_code, response.headers["X-Request-ID"])
        return entry.details

    assert told(client.post("/datasets", json={"name": "empty"})) == {"name": "empty"}
    added = told(client.post("/datasets/pets/archive", files={"file": zipped(ARCHIVE)}))
    assert added == {"name": "pets", "source": "archive", "pictures": {"cat": 3, "dog": 3}, "new": 6}
    feedback = {"prediction_id": prediction, "label": "dog", "dataset": "pets"}
    assert told(client.post("/feedback", json=feedback)).items() >= {"label": "dog", "pictures": {"dog": 1}}.items()
    made = told(client.post("/datasets/pets/changes", json={"label": "cat", "ids": [4, 5]}))
    assert (made["name"], made["to"], made["pictures"]) == ("pets", {"label": "cat"}, 2)
    assert told(client.post(f"/changes/{made['change']}/undo"))["change"] == made["change"]
    sha256 = client.get("/datasets/pets/pictures?label=cat").json()["pictures"][0]["sha256"]
    removed = told(client.delete(f"/datasets/pets/images/{sha256}"))
    assert removed == {"name": "pets", "sha256": sha256, "labels": ["cat"]}
    job = client.post("/retrain", json={"dataset": "pets"}).json()["id"]
    assert newest(audited).details.items() >= {"job": job, "dataset": "pets", "strategy": "head"}.items()
    assert told(client.delete("/retrain/latest")) == {"job": job}
    assert told(client.post("/models/2/promote")) == {"version": 2, "before": 1}
    assert told(client.post("/rollback")) == {"version": 1, "before": 2}
    assert told(client.post("/v2/repository/models/catdog/load?version=2")) == {"model": "catdog", "version": 2}
    key = told(client.post("/keys", json={"name": "ann", "role": "label"}))
    assert told(client.delete("/keys/ann")) == {"name": "ann", "ids": [key["id"]]}
    assert told(client.delete("/datasets/pets"))["kind"] == "delete"


def test_a_change_and_its_entry_are_one_transaction(audited: Service) -> None:
    """An entry that can't be written undoes the change; so none of the two is ever there alone."""
    database: Database = audited.app.state.database.database

    def refuse(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO audit"):
            raise RuntimeError("no entry")

    changes: dict[str, Callable[[], Any]] = {
        "data set": lambda: audited.client.post("/datasets", json={"name": "never"}),
        "key": lambda: audited.client.post("/keys", json={"name": "never", "role": "label"}),
        "pictures": lambda: audited.client.post("/datasets/never/archive", files={"file": zipped(ARCHIVE)}),
    }
    event.listen(database._engine, "before_cursor_execute", refuse)
    try:
        statuses = {what: make().status_code for what, make in changes.items()}
    finally:
        event.remove(database._engine, "before_cursor_execute", refuse)

    assert set(statuses.values()) == {500}
    assert "never" not in audited.app.state.database.datasets.names()
    assert "never" not in {key.name for key in audited.app.state.database.keys.all()}


def test_failed_attempts_cannot_fill_the_disk(audited: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "MOST_FAILED", 0)
    before = newest(audited).id
    for _ in range(5):
        assert audited.client.post("/rollback", headers=bearer("wrong")).status_code == 401
    assert newest(audited).id == before

    monkeypatch.setattr(auditing, "MOST_FAILED", 3)
    monkeypatch.setattr(auditing, "MINUTE_SECONDS", 0.0)
    audited.client.post("/rollback", headers=bearer("wrong"))
    assert newest(audited).details["left_out"] > 1


def test_an_entry_behind_a_proxy_has_the_address_of_the_client(audited: Service) -> None:
    audited.client.post("/datasets", json={"name": "far"}, headers={"X-Forwarded-For": "203.0.113.7"})

    assert newest(audited).address == "203.0.113.7"


def test_the_log_is_read_by_page_filtered_and_as_lines(audited: Service) -> None:
    client = audited.client
    for n in range(5):
        client.post("/datasets", json={"name": f"many-{n}"})
    page = client.get("/audit", params={"action": "POST /datasets", "limit": 3}).json()
    rest = client.get("/audit", params={"action": "POST /datasets", "limit": 3, "after": page["next"]}).json()
    names = [entry["details"]["name"] for entry in page["entries"] + rest["entries"][:2]]
    assert names == [f"many-{n}" for n in range(4, -1, -1)]

    last = page["entries"][0]
    since = {"since": last["at"], "key": "admin key"}
    assert [entry["id"] for entry in client.get("/audit", params=since).json()["entries"]] == [last["id"]]
    assert client.get("/audit", params={"until": "1970-01-02"}).json() == {"entries": [], "next": None}

    lines = client.get("/audit", params={"format": "jsonl", "key": "admin key"})
    assert lines.headers["Content-Type"] == "application/jsonl"
    read = [json.loads(line) for line in lines.text.splitlines()]
    assert read[0] == last
    assert len(read) == sum(map(len, log(audited).pages(Wanted(key="admin key"))))


def test_old_entries_are_deleted_by_the_upkeep(audited: Service) -> None:
    audited.client.post("/datasets", json={"name": "old"})
    old = newest(audited).id
    with audited.app.state.database.database.writing() as connection:
        connection.execute(update(audit).where(audit.c.id == old).values(at=0.0))

    assert log(audited).forget(0) == 0
    audited.app.state.upkeep.once()

    assert old not in {entry.id for entry in log(audited).page()}
    assert newest(audited).id == old - 1


def test_settings_that_differ_are_noted_at_the_start_and_secrets_stay_secret(audited: Service) -> None:
    state = audited.app.state
    given = state.settings.model_copy(update={"audit_days": 7, "database_url": "postgresql://user:secret@db/catdog"})
    given = given.model_copy(update={"webhook_urls": ("https://example.com/secret@",)})
    SettingsRecord(given, state.database).compare()
    first = newest(audited)
    assert (first.action, first.key) == ("settings changed", "the service")
    hidden = {"CATDOG_DATABASE_URL": "changed", "CATDOG_WEBHOOK_URLS": "changed"}
    assert first.details == {"CATDOG_AUDIT_DAYS": [365, 7], **hidden}

    SettingsRecord(given, state.database).compare()
    assert newest(audited).id == first.id

    other = given.model_copy(update={"database_url": "postgresql://user:other@db/catdog"})
    SettingsRecord(other, state.database).compare()
    assert newest(audited).details == {"CATDOG_DATABASE_URL": "changed"}
    assert b"secret@" not in (state.settings.data_dir / "catdog.sqlite").read_bytes()


@pytest.mark.whole
def test_trainings_and_commands_leave_entries_too(keeper: Service, tmp_path: Path) -> None:
    settle(keeper)
    jobs = keeper.app.state.database.jobs
    job = jobs.submit({"dataset": "pets", "strategy": "head"}).id
    jobs.claim("a worker").end(Status.SUCCEEDED, "done", version=2, decision={"promoted": True})
    ended = newest(keeper)
    assert (ended.action, ended.key, ended.status) == ("end of a job", "the worker", None)
    assert ended.details == {"job": job, "result": "succeeded", "version": 2, "promoted": True}

    catdog, data = Catdog(tmp_path), str(tmp_path / "data")
    catdog.run("keys", "create", "robot", "--role", "label", CATDOG_DATA_DIR=data)
    made = newest(keeper)
    assert (made.action, made.key) == ("catdog keys create", "command line")
    assert (made.details["name"], made.details["role"]) == ("robot", "label")

    catdog.run("promote", "1", CATDOG_DATA_DIR=data, CATDOG_MODELS_DIR=str(keeper.app.state.settings.models_dir))
    promoted = newest(keeper)
    assert (promoted.action, promoted.details) == ("catdog promote", {"version": 1})

    printed = catdog.run("audit", "--json", CATDOG_DATA_DIR=data).stdout.splitlines()
    listed = keeper.client.get("/audit").json()["entries"]
    assert [json.loads(line) for line in printed] == listed
    assert "catdog keys create" in catdog.run("audit", CATDOG_DATA_DIR=data).stdout
