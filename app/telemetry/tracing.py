"""Exports requests as OpenTelemetry traces.

Spans are made after a request has ended, from its record, so that they don't delay it.
"""

from time import perf_counter, time_ns
from typing import TYPE_CHECKING

from app.telemetry.request_record import RequestRecord
from catdog import __version__
from catdog.system import tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

FAILED = 500
CALLER = (b"traceparent", b"tracestate")


def begin() -> "Traces | None":
    """The exporter, if the environment enables traces; else None."""
    provider = tracing.provider("catdog")
    return None if provider is None else Traces(provider)


class Traces:
    """Exports one span per request, with child spans for the phases of its photos."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("catdog", __version__)
        self._caller = TraceContextTextMapPropagator()
        self._trace = trace

    def tell(self, exchange: RequestRecord) -> None:
        """Make the spans of a request, as children of its caller's if it sent a `traceparent`."""
        ahead = time_ns() - perf_counter() * 1e9  # offset of the spans' clock from ours, in nanoseconds
        headers = {
            name.decode(): value.decode("latin-1") for name, value in exchange.scope["headers"] if name in CALLER
        }
        span = self._tracer.start_span(
            f"{exchange.method} {exchange.route}",
            self._caller.extract(headers),
            self._trace.SpanKind.SERVER,
            _attributes(exchange),
            start_time=int(ahead + exchange.began * 1e9),
        )
        if exchange.status >= FAILED:
            span.set_status(self._trace.StatusCode.ERROR)
        below = self._trace.set_span_in_context(span)
        for name, began, ended in exchange.parts():
            part = self._tracer.start_span(name, below, start_time=int(ahead + began * 1e9))
            part.end(int(ahead + ended * 1e9))
        span.end(int(ahead + exchange.ended * 1e9))

    def close(self) -> None:
        """Send the remaining spans; blocks for a moment if the collector doesn't answer."""
        tracing.close(self._provider)


def _attributes(exchange: RequestRecord) -> dict[str, str | int | list[str]]:
    """Attributes by OpenTelemetry's HTTP conventions, and our own; of the address only its template."""
    attributes: dict[str, str | int | list[str]] = {
        "http.request.method": exchange.method,
        "http.route": exchange.route,
        "http.response.status_code": exchange.status,
        "catdog.request_id": exchange.id,
    }
    if exchange.version is not None:
        attributes["catdog.model_version"] = exchange.version
    if exchange.problems:
        attributes["catdog.problems"] = exchange.problems
    if exchange.status >= FAILED:
        attributes["error.type"] = str(exchange.status)
    return attributes
