"""Limits by key and by address: who gets 429, what the headers say, and what several processes share."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.web.quotas.quotas import quotas_of, site
from app.web.quotas.table import PLACES, Quota, Table
from catdog.access.roles import Limits, Role
from tests.app.access.test_key_routes import bearer
from tests.app.service import ADMIN, ADMIN_KEY, Service, publish, serving
from tests.app.web.test_problem_details import check
from tests.places import ROOT
from tests.waiting import until

FIVE = Quota("requests", 5, 1, "requests")
DAILY = Quota("bytes", 1000, 86_400, "content-bytes")
PREDICT_KEY = "a key for predictions"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1e9

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(tmp_path: Path, clock: Clock) -> Iterator[Table]:
    table = Table(tmp_path / "limits" / "host", clock)
    yield table
    table.close()


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a limit for each address, and one for keys that have none of their own."""
    models_dir = tmp_path_factory.mktemp("models")
    publish(models_dir)
    limits: dict[str, Any] = {
        "address_requests_per_second": 0.01,
        "key_requests_per_second": 0.02,
        "address_bytes_per_day": 50_000,
    }
    with serving(models_dir, worker="none", predict_key=SecretStr(PREDICT_KEY), **limits) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


def sent_from(service: Service, address: str, key: str | None = PREDICT_KEY, path: str = "/model") -> httpx.Response:
    return service.client.get(path, headers={"X-Forwarded-For": address} | ({} if key is None else bearer(key)))


def test_a_second_s_worth_is_saved_up_and_more_waits(table: Table, clock: Clock) -> None:
    assert [table.take("ann", FIVE, 1).is_admitted for _ in range(6)] == [True] * 5 + [False]
    refused = table.take("ann", FIVE, 1)
    assert (refused.left, round(refused.wait_seconds, 3)) == (0, 0.2)
    assert table.take("ben", FIVE, 1).is_admitted, "another client has its own"

    clock.seconds += 0.41
    assert [table.take("ann", FIVE, 1).is_admitted for _ in range(3)] == [True, True, False]
    clock.seconds += 3600
    assert [table.take("ann", FIVE, 1).is_admitted for _ in range(6)] == [True] * 5 + [False]


def test_bytes_are_counted_over_a_day_and_a_refused_body_costs_none(table: Table, clock: Clock) -> None:
    first = table.take("ann", DAILY, 900)
    assert (first.is_admitted, round(first.left), round(first.wait_seconds)) == (True, 100, 77_760)
    assert not table.take("ann", DAILY, 101).is_admitted
    assert table.take("ann", DAILY, 100).is_admitted

    clock.seconds += 86_400 / 2
    assert table.take("ann", DAILY, 500).is_admitted
    assert not table.take("ann", DAILY, 1).is_admitted
    assert not table.take("ben", DAILY, 1001).is_admitted, "it is more than a whole day's"


def test_a_clock_that_is_set_back_locks_nobody_out(table: Table, clock: Clock) -> None:
    for _ in range(5):
        table.take("ann", FIVE, 1)
    clock.seconds -= 3600

    assert not table.take("ann", FIVE, 1).is_admitted
    clock.seconds += 1
    assert table.take("ann", FIVE, 1).is_admitted


def test_more_clients_than_places_are_counted_as_far_as_they_use_much(table: Table, clock: Clock) -> None:
    for _ in range(1000):
        table.take("busy", Quota("bytes", 1000, 1e6, ""), 1)
    for number in range(4 * PLACES):
        table.take(f"client {number}", FIVE, 1)

    assert not table.take("busy", Quota("bytes", 1000, 1e6, ""), 1).is_admitted


def test_several_processes_have_one_count(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from app.web.quotas.table import Quota, Table\n"
        "table = Table(Path(sys.argv[1]) / 'host')\n"
        "print(sum(table.take('ann', Quota('requests', 500, 1e6, ''), 1).is_admitted for _ in range(400)))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]

    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8") for _ in range(3)]
    admitted = [int(process.communicate()[0]) for process in processes]

    assert sum(admitted) == 500, admitted
    assert not Table(tmp_path / "host").take("ann", Quota("requests", 500, 1e6, ""), 1).is_admitted, "nor a new one"


def test_files_of_machines_that_are_gone_are_deleted(tmp_path: Path, table: Table) -> None:
    folder = tmp_path / "limits"
    folder.mkdir()
    for name, seconds in (("gone", 0), ("another", time())):
        (folder / name).touch()
        os.utime(folder / name, (seconds, seconds))

    table.take("ann", FIVE, 1)

    assert {file.name for file in folder.iterdir()} == {"another", "host"}


def test_one_client_has_all_addresses_of_its_network() -> None:
    assert site("2001:db8:1:2:3:4:5:6") == site("2001:db8:1:2::9") != site("2001:db8:1:3::9")
    assert site("203.0.113.7") == site("::ffff:203.0.113.7") == "203.0.113.7"
    assert site("fe80::1%eth0") == "fe80::"


def test_two_seconds_worth_and_at_least_two_requests_are_saved_up() -> None:
    assert quotas_of(Limits(0.5)) == (("requests", 2, 4, "requests"),)
    assert quotas_of(Limits(5)) == (("requests", 10, 2, "requests"),)
    assert quotas_of(Limits()) == ()


def test_an_address_beyond_its_limit_is_told_when_to_come_back(limited: Service) -> None:
    first = sent_from(limited, "203.0.113.1")
    assert first.headers["RateLimit-Policy"] == (
        '"requests";q=2;w=200;qu="requests", "bytes";q=50000;w=86400;qu="content-bytes"'
    )
    assert first.headers["RateLimit"] == '"requests";r=1;t=100, "bytes";r=50000;t=1'

    assert sent_from(limited, "203.0.113.1").headers["RateLimit"].startswith('"requests";r=0;t=')
    third = sent_from(limited, "203.0.113.1")
    check(third, "limit-reached", 429)
    assert 90 < int(third.headers["Retry-After"]) <= 100
    assert third.headers["RateLimit"].startswith('"requests";r=0;t=')
    assert "(2 requests in 200 seconds); retry in" in third.json()["detail"]
    assert sent_from(limited, "203.0.113.2").is_success
    assert sent_from(limited, "203.0.113.1", None).status_code == 429, "trying out keys has the limit too"


def test_the_admin_key_health_checks_and_the_page_have_no_limit(limited: Service) -> None:
    for _ in range(3):
        answers = [sent_from(limited, "203.0.113.3", ADMIN_KEY)]
        answers += [sent_from(limited, "203.0.113.3", None, path) for path in ("/", "/health/live")]
        assert [answer.is_success for answer in answers] == [True] * 3
        assert not any("RateLimit" in answer.headers for answer in answers)


def test_a_named_key_counts_for_itself_wherever_it_is_used(limited: Service) -> None:
    keys = limited.app.state.database.keys
    own = keys.create("own", Role.PREDICT, limits=Limits(requests_per_second=0.001, bytes_per_day=10)).secret
    default = keys.create("default", Role.PREDICT).secret

    assert sent_from(limited, "203.0.113.4", own).headers["RateLimit-Policy"].startswith('"requests";q=2;w=2000;')
    rotated = keys.rotate("own", 1).secret
    until(lambda: sent_from(limited, "203.0.113.5", rotated).status_code == 429)
    policy = sent_from(limited, "203.0.113.4", default).headers["RateLimit-Policy"]
    assert policy == '"requests";q=2;w=100;qu="requests"'
    assert sent_from(limited, "203.0.113.6").is_success, "its address has used nothing"


def test_a_limit_can_be_changed_and_holds_at_once(limited: Service) -> None:
    asked = {"name": "ann", "role": "predict", "bytes_per_day": 9}
    made = limited.client.post("/keys", json=asked, headers=ADMIN).json()
    assert (made["requests_per_second"], made["bytes_per_day"]) == (None, 9)
    changed = limited.client.patch("/keys/ann", json={"requests_per_second": 7.5}, headers=ADMIN).json()["keys"][0]
    assert (changed["requests_per_second"], changed["bytes_per_day"]) == (7.5, None)

    policy = sent_from(limited, "203.0.113.7", made["key"]).headers["RateLimit-Policy"]
    assert policy == '"requests";q=15;w=2;qu="requests"'
    check(limited.client.patch("/keys/ann", json={"requests_per_second": 0}, headers=ADMIN), "invalid-request", 422)
    check(limited.client.patch("/keys/nobody", json={}, headers=ADMIN), "key-not-found", 404)


@pytest.mark.parametrize("declared", [True, False], ids=["a declared length", "chunks"])
def test_bodies_count_by_their_bytes(limited: Service, jpeg: bytes, declared: bool) -> None:
    name = f"bytes-{declared}"
    key = limited.client.post(
        "/keys",
        json={"name": name, "role": "predict", "requests_per_second": 100, "bytes_per_day": 2 * len(jpeg)},
        headers=ADMIN,
    ).json()["key"]

    def send() -> httpx.Response:
        content = jpeg if declared else iter([jpeg])
        return limited.client.post("/predict", content=content, headers=bearer(key))

    statuses = [send().status_code for _ in range(3)]

    assert statuses == [200, 200, 429]
    assert int(send().headers["Retry-After"]) > 80_000 / 2
    assert '"bytes";r=0;' in limited.client.get("/model", headers=bearer(key)).headers["RateLimit"]


def test_clients_of_the_protocols_get_their_form_of_error(limited: Service) -> None:
    headers = bearer(PREDICT_KEY) | {"X-Forwarded-For": "203.0.113.8"}
    answers = [limited.client.get("/v2/models/catdog", headers=headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert set(answers[2].json()) == {"error"}


def test_without_settings_nothing_is_counted(service: Service) -> None:
    answers = [service.client.get("/model") for _ in range(30)]

    assert all(answer.is_success and "RateLimit" not in answer.headers for answer in answers)
    assert not (service.app.state.settings.data_dir / "limits").exists()
