"""Exports finished jobs as OpenTelemetry traces."""

from collections.abc import Iterator
from itertools import groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

from catdog import __version__
from catdog.jobs.job import Event, Job, Status
from catdog.jobs.queue import Jobs
from catdog.system import tracing


class Part(NamedTuple):
    """A part of a job; times are seconds since 1970."""

    name: str
    began: float
    ended: float


def tell(jobs: Jobs, id: str) -> None:
    """Send the spans of a job that has ended, if the environment enables tracing."""
    job = jobs.get(id)
    if job.ended_at is None or (provider := tracing.provider("catdog-trainer")) is None:
        return
    from opentelemetry import trace

    tracer = provider.get_tracer("catdog", __version__)
    span = tracer.start_span(job.kind, attributes=_attributes(job), start_time=_nanoseconds(job.submitted_at))
    if job.status is Status.FAILED:
        span.set_status(trace.StatusCode.ERROR, job.reason)
    below = trace.set_span_in_context(span)
    for name, began, ended in _parts(job, jobs.events(id)):
        tracer.start_span(name, below, start_time=_nanoseconds(began)).end(_nanoseconds(ended))
    span.end(_nanoseconds(job.ended_at))
    tracing.close(provider)


def _parts(job: Job, events: list[Event]) -> Iterator[Part]:
    """The wait for a worker, then the phases; each lasts until the next begins."""
    phases = ((event.data["phase"], event.at) for event in events if "phase" in event.data)
    begun = [(phase, next(those)[1]) for phase, those in groupby(phases, itemgetter(0))]
    moments = [("queued", job.submitted_at), *begun, ("", job.ended_at or job.submitted_at)]
    for (name, began), (_, ended) in pairwise(moments):
        yield Part(name, began, ended)


def _attributes(job: Job) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "catdog.jobs.job": job.id,
        "catdog.status": job.status.value,
        "catdog.attempts": job.attempts,
    }
    attributes |= {f"catdog.{name}": job.request[name] for name in ("dataset", "strategy") if name in job.request}
    if job.version is not None:
        attributes["catdog.model_version"] = job.version
    return attributes


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
