"""Traces of real jobs."""

from itertools import pairwise

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus

from catdog.database import Database
from catdog.jobs.job import Status
from tests.collector import attributes, collecting
from tests.jobs import Place
from tests.photos import draw_set


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A store of one version, and the data set "pets"."""
    folder = tmp_path_factory.mktemp("place")
    photos = draw_set(folder / "photos", 60)
    made = Place(folder, Database.of(folder))
    made.learn(photos)
    made.collect(photos, "pets")
    return made


def test_a_job_is_a_span_with_its_wait_and_its_phases_below(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        job = place.run(dataset="pets", strategy="head", promote="never")

    span = collector.of("training")
    parts = collector.below(span)
    assert job.status is Status.SUCCEEDED, job.reason
    assert attributes(span) == {
        "catdog.jobs.job": job.id,
        "catdog.status": "succeeded",
        "catdog.attempts": 1,
        "catdog.dataset": "pets",
        "catdog.strategy": "head",
        "catdog.model_version": job.version,
    }
    names = [part.name for part in parts]
    assert names[:2] == ["queued", "examining"]
    assert {"fitting", "measuring", "publishing"} <= set(names)
    assert parts[0].start_time_unix_nano == span.start_time_unix_nano
    assert parts[-1].end_time_unix_nano == span.end_time_unix_nano
    assert all(one.end_time_unix_nano == other.start_time_unix_nano for one, other in pairwise(parts))


def test_a_job_that_fails_is_marked_with_its_reason(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        job = place.run(dataset="nothing", strategy="head", promote="never")

    status = collector.of("training").status
    assert job.status is Status.FAILED
    assert (status.code, status.message) == (SpanStatus.STATUS_CODE_ERROR, job.reason)


def test_a_job_is_run_where_nobody_takes_its_trace(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as gone:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")

    assert place.run(dataset="pets", strategy="head", promote="never").status is Status.SUCCEEDED
