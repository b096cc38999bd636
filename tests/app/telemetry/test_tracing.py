"""Traces, received by an HTTP collector."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.telemetry import tracing as ours
from catdog.system import tracing
from tests.app.api.test_queue import ask, ask_for_batch, ready
from tests.app.watching import photo
from tests.app.web.test_problem_details import StumblingEngine
from tests.collector import Collector, attributes, collecting
from tests.places import ROOT
from tests.waiting import until

LIBRARY_SECONDS = 5  # less than the library's own timeout
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector for the services of this test; it has all traces once they have ended."""
    with collecting() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


def test_a_prediction_is_a_span_with_its_phases_below(models_dir: Path, collector: Collector) -> None:
    with ready(models_dir) as service:
        answer = ask(service, 1)

    span = collector.of("POST /predict")
    children = collector.below(span)

    assert collector.paths == {"/v1/traces"}
    assert span.kind == Span.SPAN_KIND_SERVER
    assert attributes(span) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "catdog.request_id": answer.headers["X-Request-ID"],
        "catdog.model_version": 1,
    }
    assert [child.name for child in children] == ["read", "queue", "decode", "queue", "infer"]
    for earlier, later in pairwise(children):
        assert earlier.end_time_unix_nano <= later.start_time_unix_nano
    assert span.start_time_unix_nano <= children[0].start_time_unix_nano
    assert children[-1].end_time_unix_nano <= span.end_time_unix_nano
    assert {child.trace_id for child in children} == {span.trace_id}


def test_each_photo_of_a_batch_has_its_own_phases(models_dir: Path, collector: Collector) -> None:
    with ready(models_dir) as service:
        ask_for_batch(service, 1, 2, 3)

    names = [child.name for child in collector.below(collector.of("POST /predict/batch"))]

    assert sorted(names) == sorted(["read", *["queue", "decode", "queue", "infer"] * 3])


def test_a_span_belongs_to_its_caller(models_dir: Path, collector: Collector) -> None:
    with ready(models_dir) as service:
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        service.client.post("/predict", content=photo(1), headers=headers)

    span = collector.of("POST /predict")

    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)


def test_what_failed_is_marked_and_nothing_of_the_address_is_sent(models_dir: Path, collector: Collector) -> None:
    with ready(models_dir) as service:
        service.client.get("/models/77", params={"key": "secret"})
        with service.with_engine(lambda _: StumblingEngine()):
            ask(service, 1)

    failed, missing = collector.of("POST /predict"), collector.of("GET /models/{version}")

    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed)["error.type"] == "500"
    assert missing.status.code == Status.STATUS_CODE_UNSET
    assert attributes(missing)["http.response.status_code"] == 404
    assert not [each for each in collector.received if "secret" in str(each) or "models/77" in str(each)]


@pytest.mark.parametrize(("set_name", "name"), [(None, "catdog"), ("cats of ours", "cats of ours")])
def test_the_service_has_a_name(
    models_dir: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch, set_name: str | None, name: str
) -> None:
    if set_name:
        monkeypatch.setenv("OTEL_SERVICE_NAME", set_name)
    with ready(models_dir):
        pass

    resource = collector.received[0].resource_spans[0].resource

    assert {each.value.string_value for each in resource.attributes if each.key == "service.name"} == {name}


def test_a_collector_that_is_gone_leaves_the_service_alone(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as gone:
        url = gone.url
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setattr(tracing, "CLOSE_SECONDS", 0.1)

    with ready(models_dir) as service:
        assert ask(service, 1).status_code == 200
        began = monotonic()
    assert monotonic() - began < LIBRARY_SECONDS
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("Otel")])  # it retries


def test_without_the_variable_nothing_of_it_is_imported() -> None:
    script = (
        "import sys; from app.main import create_app; from app.settings import Settings;"
        "create_app(Settings(admin_key='x' * 16));"
        "print(*[name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )

    imported = subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, encoding="utf-8").split()

    assert imported == []


def test_where_it_is_not_installed_one_line_says_so(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)  # as if it weren't

    with caplog.at_level(logging.WARNING), ready(models_dir) as service:
        assert ask(service, 1).status_code == 200

    said = [record.getMessage() for record in caplog.records if record.name == tracing.__name__]
    assert said == ["OTEL_EXPORTER_OTLP_ENDPOINT is set, but no traces are sent: the extra `otel` isn't installed"]


def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    assert ours.begin() is None
