"""Metrics of real services, read with Prometheus's own parser."""

import re
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from pydantic import SecretStr

from app import metrics
from catdog.database import BUSY_SECONDS
from catdog.jobs.job import Status
from tests.app.api.test_queue import ask, ask_for_batch, connect, queue, ready, watched
from tests.app.scraping import PROC, PROCESS, scrape
from tests.app.service import ADMIN, Service, publish, serving
from tests.app.watching import photo
from tests.app.web.connections.test_disconnect import leave, one
from tests.places import ROOT
from tests.waiting import until

DOCS = ROOT / "docs" / "05-watching.md"
MIB = 2**20


@pytest.fixture
def fresh(models_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Service]:
    """A service without earlier requests, which queries its database at each scrape."""
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 0.0)
    with ready(models_dir, queue_items=4, data_dir=tmp_path / "data") as service:
        yield service


def test_requests_are_counted_by_method_template_and_status(fresh: Service) -> None:
    fresh.client.get("/models/1")
    fresh.client.get("/models/99")
    fresh.client.delete("/models/98", headers=ADMIN)
    fresh.client.get("/predict")
    for _ in range(2):
        ask(fresh, 1)

    page = scrape(fresh)

    counted = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for sample in page.samples
        if sample.name == "catdog_requests_total" and not sample.labels["route"].startswith("/health")
    }
    assert counted == {
        ("GET", "/models/{version}", "200"): 1,
        ("GET", "/models/{version}", "404"): 1,
        ("DELETE", "/models/{version}", "404"): 1,
        ("GET", "/predict", "405"): 1,
        ("POST", "/predict", "200"): 2,
    }
    assert page.find("catdog_request_duration_seconds_count", method="POST", route="/predict") == 2
    assert page.find("catdog_request_duration_seconds_count", method="GET", route="/models/{version}") == 2


def test_nothing_that_a_client_makes_up_becomes_a_label(fresh: Service) -> None:
    fresh.client.get("/nowhere")
    fresh.client.request("BREW", "/elsewhere")
    before = len(scrape(fresh).samples)

    for number in range(50):
        fresh.client.get(f"/nowhere/{number}")
        fresh.client.get(f"/models/{number}/report", params={"key": f"secret-{number}"})
        fresh.client.request(f"BREW{number}", f"/{number}")
    page = scrape(fresh)

    assert page.find("catdog_requests_total", method="GET", route="other", status="404") == 51
    assert len(page.samples) < before + 100  # one address more, with its buckets and statuses
    assert not re.search(r"BREW|nowhere|secret", page.text)


def test_each_photo_is_timed_by_phase_and_counted_once_for_both_pages(fresh: Service) -> None:
    ask(fresh, 1)
    ask_for_batch(fresh, 2, 3, 4)

    page, state = scrape(fresh), queue(fresh)

    counts = page.all("catdog_phase_duration_seconds_count", "phase")
    seconds = page.all("catdog_phase_duration_seconds_sum", "phase")
    assert counts == {"read": 2, "decode": 4, "queue": 4, "infer": 4}
    assert all(0 < each < 60 for each in seconds.values())
    assert page.find("catdog_batch_photos_sum") == page.find("catdog_photos_answered_total") == state["answered"] == 4
    assert page.find("catdog_queue_limit_photos") == state["limit"] == 4
    assert page.find("catdog_queue_photos") == state["depth"] == 0
    assert page.find("catdog_batch_photos_count") == sum(state["recent"]["batch_sizes"].values())


def test_buckets_go_from_a_millisecond_to_ten_seconds(fresh: Service) -> None:
    ask(fresh, 1)

    bounds = [
        sample.labels["le"]
        for sample in scrape(fresh).samples
        if sample.name == "catdog_phase_duration_seconds_bucket" and sample.labels["phase"] == "infer"
    ]

    assert (bounds[0], bounds[-2], bounds[-1]) == ("0.001", "10.0", "+Inf")
    assert bounds[:-1] == [str(bound) for bound in sorted(map(float, bounds[:-1]))]


def test_what_is_refused_is_counted_by_its_reason(fresh: Service) -> None:
    fresh.client.post("/predict", content=bytes(11 * MIB))
    fresh.client.post("/predict", content=photo(1)[:-20])
    fresh.client.post("/predict/batch", files=[("file", b"no photo"), ("file", b""), ("file", photo(1))])
    fresh.client.post("/rollback")

    reasons = scrape(fresh).all("catdog_rejections_total", "reason")

    assert {reason: count for reason, count in reasons.items() if count and reason != "not-ready"} == {
        "too-large": 1,
        "broken-image": 1,
        "unsupported-image": 1,
        "no-file": 1,
        "unauthorized": 1,
    }
    assert {"overloaded", "expired", "client-gone"} <= set(reasons)


def test_a_full_queue_and_clients_that_leave_are_counted_as_the_queue_does(fresh: Service) -> None:
    with ThreadPoolExecutor(4) as elsewhere, watched(fresh) as engine:
        asked = [elsewhere.submit(ask, fresh, 0) for _ in range(3)]
        until(lambda: queue(fresh)["depth"] == 3)
        leaving = connect(fresh)
        leaving.sendall(one(1))
        until(lambda: queue(fresh)["depth"] == 4)
        full = scrape(fresh)
        refused = [ask(fresh, 2).status_code for _ in range(2)]
        leave(leaving, reset=False)
        until(lambda: queue(fresh)["abandoned"] == 1)
        engine.let_go.set()
        assert [each.result().status_code for each in asked] == [200] * 3
    page = scrape(fresh)

    assert refused == [503, 503]
    assert full.find("catdog_queue_photos") == full.find("catdog_queue_limit_photos") == 4
    assert page.find("catdog_rejections_total", reason="overloaded") == queue(fresh)["refused"] == 2
    assert page.find("catdog_rejections_total", reason="client-gone") == 1
    assert page.find("catdog_requests_total", method="POST", route="/predict", status="503") == 2
    assert page.find("catdog_requests_total", method="POST", route="/predict", status="499") == 1


def test_photos_that_expire_are_counted(models_dir: Path) -> None:
    with ready(models_dir, deadline_seconds=0.05) as service, watched(service) as engine:
        ask(service, 0)
        ask_for_batch(service, 1, 2)
        page = scrape(service)
        engine.let_go.set()

        assert page.find("catdog_rejections_total", reason="expired") == queue(service)["expired"] == 3


def test_bodies_that_are_being_received_are_counted(models_dir: Path) -> None:
    with ready(models_dir, max_uploads=1) as service, connect(service) as slow:
        begin(slow)
        until(lambda: scrape(service).find("catdog_uploads") == 1)
        ask(service, 1)

        page = scrape(service)

        assert page.find("catdog_uploads_limit") == 1
        assert page.find("catdog_rejections_total", reason="overloaded") == 1


def begin(connection: socket.socket) -> None:
    connection.sendall(one(1)[:-10])


def test_the_version_in_service_and_the_number_of_swaps_are_reported(tmp_path: Path) -> None:
    with serving(tmp_path, worker="none") as service:
        none = scrape(service)
        publish(tmp_path)
        publish(tmp_path, seed=8)
        until(lambda: scrape(service).find("catdog_ready") == 1)
        first = scrape(service)
        service.client.post("/models/2/promote", headers=ADMIN).raise_for_status()
        second = scrape(service)
        service.client.post("/rollback", headers=ADMIN).raise_for_status()
        last = scrape(service)

    assert (none.find("catdog_ready"), none.find("catdog_champion_version")) == (0, None)
    pages = (first, second, last)
    assert [page.find("catdog_champion_version") for page in pages] == [1, 2, 1]
    assert [page.find("catdog_swaps_total") for page in pages] == [0, 1, 2]
    assert set(second.all("catdog_champion_info", "version")) == {"2"}


def test_a_champion_that_cannot_be_loaded_is_reported(tmp_path: Path) -> None:
    publish(tmp_path)
    with ready(tmp_path) as service:
        assert scrape(service).find("catdog_champion_stale") == 0
        (tmp_path / "champion").write_text("9\n")

        until(lambda: scrape(service).find("catdog_champion_stale") == 1)

        assert scrape(service).find("catdog_champion_version") == 1


def test_jobs_and_the_progress_of_the_running_one_are_reported(fresh: Service) -> None:
    jobs = fresh.app.state.database.jobs
    jobs.submit({"dataset": "pets"})
    waiting = scrape(fresh)
    lease = jobs.claim("a worker")
    said = {"phase": "fitting", "progress": 0.4, "seconds_left": 8.5, "epoch": 2, "epochs": 5}
    lease.report("progress", said, progress=said | {"metrics": {"photos_per_second": 120.0, "loss": 0.1}})
    running = scrape(fresh)
    lease.end(Status.SUCCEEDED, "version 2")
    over = scrape(fresh)

    assert waiting.all("catdog_jobs", "status") == dict.fromkeys(map(str, Status), 0) | {"queued": 1}
    assert waiting.find("catdog_job_progress_ratio") is None
    assert running.find("catdog_jobs", status="running") == 1
    assert running.all("catdog_job_phase", "phase") == {"fitting": 1}
    names = ("progress_ratio", "left_seconds", "epoch", "epochs", "photos_per_second")
    assert [running.find(f"catdog_job_{name}") for name in names] == [0.4, 8.5, 2, 5, 120]
    assert (running.find("catdog_job_running_seconds") or -1) > 0
    assert over.find("catdog_jobs", status="succeeded") == 1
    assert not [name for name in over.names if name.startswith("catdog_job_")]


def test_the_database_is_not_asked_for_every_page(models_dir: Path, tmp_path: Path) -> None:
    with ready(models_dir, data_dir=tmp_path) as service:
        scrape(service)
        service.app.state.database.jobs.submit({"dataset": "pets"})

        assert scrape(service).find("catdog_jobs", status="queued") == 0


def test_a_broken_database_leaves_the_other_metrics_and_is_logged_once(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 0.0)
    (tmp_path / "catdog.sqlite").write_bytes(b"no database at all" * 100)
    with ready(models_dir, data_dir=tmp_path) as service:
        scrape(service)
        page = scrape(service)

    said = [record.getMessage() for record in caplog.records if record.name == metrics.__name__]
    assert said == ["jobs can't be counted: file is not a database"]
    assert page.find("catdog_database_up") == 0
    assert page.all("catdog_jobs", "status") == {}
    assert page.find("catdog_ready") == 1


def test_a_database_that_hangs_holds_the_page_for_no_longer_than_its_patience(
    fresh: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "PATIENCE_SECONDS", 0.05)
    until(lambda: scrape(fresh).find("catdog_database_up") == 1)
    with closing(sqlite3.connect(tmp_path / "data" / "catdog.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = monotonic()
        pages = [scrape(fresh) for _ in range(3)]
        seconds = monotonic() - began

    assert seconds < BUSY_SECONDS
    assert [page.find("catdog_database_up") for page in pages] == [0, 0, 0]
    until(lambda: scrape(fresh).find("catdog_database_up") == 1)


def test_the_page_is_for_those_who_may_look(models_dir: Path) -> None:
    key = "a key for predictions"
    with serving(models_dir, predict_key=SecretStr(key), worker="none") as service:
        without = service.client.get("/metrics")
        with_it = service.client.get("/metrics", headers={"Authorization": f"Bearer {key}"})

    assert (without.status_code, with_it.status_code) == (401, 200)


def test_the_page_comes_in_the_format_that_is_asked_for(fresh: Service) -> None:
    plain = fresh.client.get("/metrics")
    opened = fresh.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert plain.headers["Content-Type"].startswith("text/plain; version=")
    assert opened.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = open_metrics(opened.text)  # type: ignore[no-untyped-call]
    assert {"catdog_requests", "catdog_swaps", "catdog_jobs"} <= {family.name for family in families}


def test_the_process_is_measured(fresh: Service) -> None:
    if not PROC.exists():
        pytest.skip("needs /proc")

    assert (scrape(fresh).find("process_resident_memory_bytes") or 0) > 10 * MIB


def test_every_number_is_explained_and_no_other(fresh: Service) -> None:
    rows = re.findall(r"^\| (`.*?) \|", DOCS.read_text("utf-8"), re.MULTILINE)
    explained = {name for row in rows for name in re.findall(r"`((?:catdog|process)_\w+)`", row)}
    there = scrape(fresh).documented

    assert explained == there | (set() if PROC.exists() else PROCESS)
