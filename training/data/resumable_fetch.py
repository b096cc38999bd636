"""Downloads files, and resumes broken downloads.

Beside the file PART that a download is received into there is PART.etag: what the server calls the content that this is
a part of. Both stay where a download is cut off, until it is complete or they are discarded.
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
TIMEOUT_SECONDS = 30.0  # that a server may be silent

Progress = Callable[[float, float | None], None]  # the share that has come, 0-1, and the seconds left; None if unknown


def fetch(url: str, part: Path, timeout_seconds: float = TIMEOUT_SECONDS, progress: Progress | None = None) -> None:
    """Download what is missing in `part`, or all of it where the server can't resume; progress on stderr as well.

    `timeout_seconds` is how long the server may be silent. Raises OSError or HTTPException; what has come is kept.
    """
    headers = _resuming(part)
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout_seconds)  # noqa: S310  # not a user's address
    except HTTPError as error:
        with error:
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # there is nothing after what we have
                if error.headers["Content-Range"] == f"bytes */{part.stat().st_size}":
                    return
                discard(part)
            raise
    with response:
        _receive(response, part, progress)


def discard(part: Path) -> None:
    """Remove what has come."""
    part.unlink(missing_ok=True)
    _etag(part).unlink(missing_ok=True)


def is_resumable(part: Path) -> bool:
    """Whether the next download goes on behind what has come."""
    return bool(_resuming(part))


def reason(error: Exception) -> str:
    """What a failed `fetch` says of its failure, in words."""
    return re.sub(r"\[Errno -?\d+\] ", "", str(error).removeprefix("<urlopen error ").removesuffix(">"))


def _etag(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _resuming(part: Path) -> Mapping[str, str]:
    """Headers that ask for the rest of what `part` is a part of, or for all if that has changed (RFC 9110, 13.1.5)."""
    etag = _etag(part).read_text("utf-8") if _etag(part).exists() else ""
    strong = etag.startswith('"')  # a weak one may stand for other bytes
    if not strong or not part.exists() or not part.stat().st_size:
        return {}
    return {"Range": f"bytes={part.stat().st_size}-", "If-Range": etag}


def _receive(response: HTTPResponse, part: Path, report: Progress | None) -> None:
    resumed = response.status == HTTPStatus.PARTIAL_CONTENT
    done = part.stat().st_size if resumed else 0
    if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
        raise HTTPException("the server sent another part than the one that was asked for")
    length = response.headers["Content-Length"]
    progress = _Progress(done, done + int(length) if length else None, report)
    with part.open("ab" if resumed else "wb") as file:
        if not resumed:  # only now, when the older content is gone
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
    """A line with bytes, speed and time left; on a terminal it moves, elsewhere only its end is shown."""

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
        """Bytes that are still to come, as far as is known."""
        return 0 if self._total is None else self._total - self._done

    @property
    def _speed(self) -> float:
        """Bytes a second."""
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
