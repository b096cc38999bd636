"""Downloads files, and resumes interrupted downloads.

A download is received into the file PART; PART.etag, next to it, has the server's ETag of that content. Both are kept
after an interruption, until the download is complete or they are discarded.
"""

import re
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from time import monotonic
from urllib.error import HTTPError
from urllib.request import Request, urlopen

CHUNK_BYTES = 256 * 1024
REFRESH_SECONDS = 0.5
TIMEOUT_SECONDS = 30.0  # that a server may send nothing

Progress = Callable[[float, float | None], None]  # called with the completed share, 0-1, and the seconds left or None


def fetch(url: str, part: Path, timeout_seconds: float = TIMEOUT_SECONDS, progress: Progress | None = None) -> None:
    """Download what is missing in `part`, or everything if the server can't resume; also shows progress on stderr.

    `timeout_seconds` is how long the server may send nothing. Raises OSError or HTTPException; what was received is
    kept.
    """
    headers = _resuming(part)
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout_seconds)  # noqa: S310  # not a user's address
    except HTTPError as error:
        with error:
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # the part is already complete
                if error.headers["Content-Range"] == f"bytes */{part.stat().st_size}":
                    return
                discard(part)
            raise
    with response:
        _receive(response, part, progress)


def discard(part: Path) -> None:
    """Remove the partial download."""
    part.unlink(missing_ok=True)
    _etag(part).unlink(missing_ok=True)


def is_resumable(part: Path) -> bool:
    """Whether the next download can resume this one."""
    return bool(_resuming(part))


def reason(error: Exception) -> str:
    """The reason of a failed `fetch`, as text."""
    return re.sub(r"\[Errno -?\d+\] ", "", str(error).removeprefix("<urlopen error ").removesuffix(">"))


def _etag(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _resuming(part: Path) -> Mapping[str, str]:
    """Headers that request the rest of `part`, or everything if the content has changed (RFC 9110, 13.1.5)."""
    etag = _etag(part).read_text("utf-8") if _etag(part).exists() else ""
    strong = etag.startswith('"')  # a weak ETag doesn't guarantee the same bytes
    if not strong or not part.exists() or not part.stat().st_size:
        return {}
    return {"Range": f"bytes={part.stat().st_size}-", "If-Range": etag}


def _receive(response: HTTPResponse, part: Path, report: Progress | None) -> None:
    resumed = response.status == HTTPStatus.PARTIAL_CONTENT
    done = part.stat().st_size if resumed else 0
    if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
        raise HTTPException("the server sent a different part than requested")
    length = response.headers["Content-Length"]
    progress = _Progress(done, done + int(length) if length else None, report)
    with part.open("ab" if resumed else "wb") as file:
        if not resumed:  # only now, after the older content was removed
            _etag(part).write_text(response.headers.get("ETag", ""), "utf-8")
        try:
            while chunk := response.read1(CHUNK_BYTES):
                file.write(chunk)
                progress.add(len(chunk))
        finally:
            progress.end()
    if missing := progress.missing:
        raise HTTPException(f"the connection ended {missing:,} bytes early")


class _Progress:
    """A line with bytes, speed and time left; updated on a terminal, elsewhere printed once at the end."""

    def __init__(self, done: int, total: int | None, report: Progress | None) -> None:
        self._before = self._done = done
        self._total = total
        self._report = report
        self._started = self._shown = monotonic()

    def add(self, count: int) -> None:
        self._done += count
        if self._report is not None:
            self._report(self._done / self._total if self._total else 0.0, self._seconds_left)
        if sys.stderr.isatty() and monotonic() - self._shown > REFRESH_SECONDS:
            self._shown = monotonic()
            _say(f"\r{self._line()}")

    def end(self) -> None:
        _say(f"\r{self._line()}\n")

    @property
    def missing(self) -> int:
        """The number of bytes still missing, as far as known."""
        return 0 if self._total is None else self._total - self._done

    @property
    def _speed(self) -> float:
        """Bytes per second."""
        return (self._done - self._before) / max(monotonic() - self._started, 1e-9)

    @property
    def _seconds_left(self) -> float | None:
        return None if self._total is None else self.missing / max(self._speed, 1.0)

    def _line(self) -> str:
        parts = [f"{self._done / 1e6:.1f} MB", f"{self._speed / 1e6:.1f} MB/s"]
        if self._total is not None and self._seconds_left is not None:
            parts[0] = f"{self._done / 1e6:.1f} of {self._total / 1e6:.1f} MB"
            parts.append(f"{timedelta(seconds=round(self._seconds_left))} left")
        return "  ".join(parts).ljust(60)


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
