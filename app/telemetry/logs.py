"""Logging to stderr as text or JSON lines, with the request's id."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from app.telemetry.request_record import RequestRecord, current

Form = Literal["auto", "text", "json"]

logger = logging.getLogger(__name__)

TEXT = "%(asctime)s %(levelname)s %(message)s"
NOISY = ("python_multipart", "PIL")  # they log clients' mistakes, which are in the answers
FULL = 503  # answered under overload, when logging each request would add load
FAILED = 500


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and if there is one, the traceback and the request's id."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if exchange := current():
            line["request_id"] = exchange.id
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line | getattr(record, "facts", {}))


def begin(form: Form) -> None:
    """Set up logging in this form; `auto` is text on a terminal, else JSON."""
    handler = logging.StreamHandler()
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler.setFormatter(logging.Formatter(TEXT) if as_text else JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.ERROR)


def warn(*sentences: str) -> None:
    """Log a warning for each sentence."""
    for sentence in sentences:
        logger.warning("%s", sentence)


class RequestLog:
    """Logs each request that failed through the service's fault, or for which it took more than `slow_seconds`."""

    def __init__(self, slow_seconds: float) -> None:
        self._slow_seconds = slow_seconds

    def tell(self, exchange: RequestRecord) -> None:
        if level := self._level(exchange):
            parts = _seconds(exchange)
            shown = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in parts.items())
            logger.log(
                level,
                "%s %s: %d in %.1f ms%s",
                exchange.method,
                exchange.route,
                exchange.status,
                1000 * exchange.seconds,
                f" ({shown})" if shown else "",
                extra={"facts": _facts(exchange, parts)},
            )

    def _level(self, exchange: RequestRecord) -> int | None:
        """Level of the request's line; None if it isn't logged."""
        if exchange.status >= FAILED and exchange.status != FULL:
            return logging.ERROR
        if not self._slow_seconds:
            return logging.INFO
        return logging.INFO if exchange.service_seconds > self._slow_seconds else None


def _seconds(exchange: RequestRecord) -> dict[str, float]:
    """Seconds of each phase, summed over the photos of a batch."""
    seconds: dict[str, float] = {}
    for name, began, ended in exchange.parts():
        seconds[name] = seconds.get(name, 0.0) + ended - began
    return seconds


def _facts(exchange: RequestRecord, parts: dict[str, float]) -> dict[str, Any]:
    """Fields of a line in addition to its message: none that a client can choose freely."""
    return {
        "method": exchange.method,
        "route": exchange.route,
        "status": exchange.status,
        "seconds": round(exchange.seconds, 6),
        **{f"{name}_seconds": round(seconds, 6) for name, seconds in parts.items()},
        "photos": len(exchange.photos),
        "model_version": exchange.version,
        "problems": exchange.problems,
    }
