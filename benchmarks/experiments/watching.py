"""Measures the cost of metrics, logs and traces per request, in microseconds.

The measured app is a stub that only records what a prediction records. Metrics are always counted; in addition each
request is logged or traced. The traces are discarded, because another thread would send them.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from time import perf_counter

from starlette.types import Message, Receive, Scope, Send

from app.serving.queue_stats import QueueStats
from app.telemetry import tracing
from app.telemetry.instruments import Requests
from app.telemetry.logs import TEXT, JsonLines, RequestLog
from app.telemetry.request_record import PhotoTimes, RequestRecord, RequestRecorder, record_photo, record_version

ROUNDS, REQUESTS = 50, 500
NOWHERE = "http://127.0.0.1:9"  # the discard port

Listener = Callable[[RequestRecord], None]


class Route:
    path_format = "/predict"


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Message) -> None:
    """Discard the message."""


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """The stub app."""
    await receive()
    scope["route"] = Route
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


class Prediction:
    """An app that records what a prediction records, and answers."""

    def __init__(self) -> None:
        self.measurements = QueueStats()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record_version(1)
        record_photo(photo := PhotoTimes())
        photo.decoding, photo.decoded = photo.arrived + 0.001, photo.arrived + 0.002
        self.measurements.decoded(photo)
        photo.end(photo.arrived + 0.003, photo.arrived + 0.004, 1)
        self.measurements.inferred([photo])
        await answer(scope, receive, send)


def watched(*listeners: Listener) -> RequestRecorder:
    app = Prediction()
    return RequestRecorder(
        app, [Requests(app.measurements.phase_seconds, app.measurements.rejections).tell, *listeners]
    )


async def measure(app: Callable[[Scope, Receive, Send], object]) -> float:
    """Microseconds per request, the best of ROUNDS."""
    found: list[float] = []
    for _ in range(ROUNDS):
        scopes: Sequence[Scope] = [
            {"type": "http", "method": "POST", "headers": [], "state": {"id": "x"}} for _ in range(REQUESTS)
        ]
        began = perf_counter()
        for scope in scopes:
            await app(scope, receive, send)  # type: ignore[misc]
        found.append((perf_counter() - began) / REQUESTS)
    return 1e6 * min(found)


def logged(formatter: logging.Formatter) -> float:
    """Microseconds per request with every request logged."""
    with open(os.devnull, "w", encoding="utf-8") as nothing:  # noqa: PTH123
        handler = logging.StreamHandler(nothing)
        handler.setFormatter(formatter)
        logging.getLogger("app").addHandler(handler)
        try:
            return asyncio.run(measure(watched(RequestLog(0).tell)))
        finally:
            logging.getLogger("app").removeHandler(handler)


def main() -> None:
    logging.getLogger("app").setLevel(logging.INFO)
    logging.getLogger("app").propagate = False
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    os.environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.1"}
    nothing = asyncio.run(measure(answer))
    numbers = asyncio.run(measure(watched(RequestLog(1).tell)))
    print(f"numbers: {numbers - nothing:.1f}")
    for name, formatter in (("JSON", JsonLines()), ("text", logging.Formatter(TEXT))):
        print(f"a line in the log, as {name}: {logged(formatter) - numbers:.1f}")
    if traces := tracing.begin():
        print(f"a trace: {asyncio.run(measure(watched(RequestLog(1).tell, traces.tell))) - numbers:.1f}")
        traces.close()


if __name__ == "__main__":
    main()
