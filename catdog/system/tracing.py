"""Configures OpenTelemetry tracing from the environment.

Sampling, headers, timeouts and the service's name are set by OpenTelemetry's own variables.
"""

import logging
import os
from threading import Thread
from typing import TYPE_CHECKING

from catdog import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

logger = logging.getLogger(__name__)

PLACES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
CLOSE_SECONDS = 2.0  # limit for sending the remaining spans; the library's own is 10


def provider(name: str) -> "TracerProvider | None":
    """A provider that sends the spans of the service `name`, in batches on a thread, until it is closed.

    None if the environment doesn't enable tracing, or if the library is missing, which is logged.
    """
    place = next((name for name in PLACES if os.environ.get(name)), None)
    if place is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        return _provider(os.environ.get("OTEL_SERVICE_NAME") or name)
    except ImportError:
        logger.warning("%s is set, but no traces are sent: the extra `otel` isn't installed", place)
        return None


def close(provider: "TracerProvider") -> None:
    """Send the remaining spans, for at most CLOSE_SECONDS."""
    closing = Thread(target=provider.shutdown, daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS)


def _provider(name: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": name, "service.version": __version__})
    made = TracerProvider(resource=resource, shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made
