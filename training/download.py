"""Fetches the 2,000 + 1,000 photos of cats and dogs that TensorFlow's tutorials publish.

We know of no place where the archive's sha256 is published, so none is built in. The first download is trusted, as the
tutorials trust every one; its digest is shown and put on record beside the photos, and later downloads must have it.
Who has the digest from elsewhere can pass it.

Beside the folder of photos, DIR, there are
    DIR.zip.part       the archive as far as it has come, until it is unpacked
    DIR.zip.part.etag  what the server calls the content that this is a part of
    DIR.zip.sha256     the archive's digest, in the form that `sha256sum` writes
"""

import sys
from collections.abc import Mapping
from datetime import timedelta
from hashlib import file_digest
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from time import monotonic
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from catdog.errors import DownloadError
from training import archive

URL = "https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip"
CHUNK_BYTES = 256 * 1024
REFRESH_SECONDS = 0.5


def download(folder: Path, url: str = URL, sha256: str | None = None, timeout_seconds: float = 30.0) -> Path:
    """Make `folder` of the photos, as {train,validation}/{cat,dog}/*, and return it: it is what `train --data` takes.

    Nothing is fetched where it holds them already. A download that was cut off goes on where it stopped, unless the
    server can't or has other content now: then it begins anew. `sha256` (hex) pins the archive in place of the one on
    record; `timeout_seconds` is how long the server may be silent. Raises DownloadError.
    """
    folder = folder.absolute()
    record = _beside(folder, ".zip.sha256")
    recorded = record.read_text("ascii").partition(" ")[0] if record.exists() else None
    if folder.exists() and not _is_empty(folder):
        _check_present(folder, recorded, sha256)
        return folder
    part = _beside(folder, ".zip.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, timeout_seconds)
    except (OSError, HTTPException) as error:
        raise _no_photos(url, part, error) from error
    try:
        digest = _verify(part, sha256 or recorded)
        archive.unpack(part, folder)
    except DownloadError:
        _discard(part)
        raise
    record.write_text(f"{digest}  {folder.name}.zip\n", "ascii")
    _discard(part)
    _say(f"sha256 {digest}, on record in {record}\n")
    return folder


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _etag(part: Path) -> Path:
    return _beside(part, ".etag")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _etag(part).unlink(missing_ok=True)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and next(folder.iterdir(), None) is None


def _check_present(folder: Path, recorded: str | None, pinned: str | None) -> None:
    if not all((folder / split).is_dir() for split in archive.SPLITS):
        raise DownloadError(f"{folder} holds something else; name a folder that doesn't exist yet")
    if pinned and pinned.lower() != recorded:
        raise DownloadError(
            f"the photos in {folder} came with the sha256 {recorded or '(not on record)'}, not {pinned};"
            " remove the folder to download them again"
        )
    _say(f"{folder} holds the photos already\n")


def _fetch(url: str, part: Path, timeout_seconds: float) -> None:
    """Bring what is missing of the archive, or all of it where that can't be done."""
    headers = _resuming(part)
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout_seconds)  # noqa: S310  # not a user's address
    except HTTPError as error:
        with error:
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # there is nothing after what we have
                if error.headers["Content-Range"] == f"bytes */{part.stat().st_size}":
                    return
                _discard(part)
            raise
    with response:
        _receive(response, part)


def _resuming(part: Path) -> Mapping[str, str]:
    """Headers that ask for the rest of what `part` is a part of, or for all if that has changed (RFC 9110, 13.1.5)."""
    etag = _etag(part).read_text("utf-8") if _etag(part).exists() else ""
    strong = etag.startswith('"')  # a weak one may stand for other bytes
    if not strong or not part.exists() or not part.stat().st_size:
        return {}
    return {"Range": f"bytes={part.stat().st_size}-", "If-Range": etag}


def _receive(response: HTTPResponse, part: Path) -> None:
    resumed = response.status == HTTPStatus.PARTIAL_CONTENT
    done = part.stat().st_size if resumed else 0
    if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
        raise HTTPException("the server sent another part than the one that was asked for")
    length = response.headers["Content-Length"]
    progress = _Progress(done, done + int(length) if length else None)
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

    def __init__(self, done: int, total: int | None) -> None:
        self._before = self._done = done
        self._total = total
        self._started = self._shown = monotonic()

    def add(self, count: int) -> None:
        self._done += count
        if sys.stderr.isatty() and monotonic() - self._shown > REFRESH_SECONDS:
            self._shown = monotonic()
            _say(f"\r{self._line()}")

    def end(self) -> None:
        _say(f"\r{self._line()}\n")

    @property
    def missing(self) -> int:
        """Bytes that are still to come, as far as is known."""
        return 0 if self._total is None else self._total - self._done

    def _line(self) -> str:
        speed = (self._done - self._before) / max(monotonic() - self._started, 1e-9)  # bytes a second
        parts = [f"{self._done / 1e6:.1f} MB", f"{speed / 1e6:.1f} MB/s"]
        if self._total is not None:
            parts[0] = f"{self._done / 1e6:.1f} of {self._total / 1e6:.1f} MB"
            parts.append(f"{timedelta(seconds=round(self.missing / max(speed, 1.0)))} left")
        return "  ".join(parts).ljust(60)


def _verify(part: Path, expected: str | None) -> str:
    """The archive's sha256, which must be the expected one if there is any."""
    with part.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    if expected and digest != expected.lower():
        raise DownloadError(
            f"the archive has the sha256 {digest}, but {expected} was expected, so it was not used;"
            " if you trust it nevertheless, pass its sha256"
        )
    return digest


def _no_photos(url: str, part: Path, error: Exception) -> DownloadError:
    reason = str(error).removeprefix("<urlopen error ").removesuffix(">")
    again = " What has come is kept, and the same command goes on from there." if _resuming(part) else ""
    return DownloadError(
        f"the photos can't be downloaded from {url}: {reason}.{again} Without them, train on photos of your own:"
        " python -m training train --data DIR, where DIR holds a folder of photos for each class, such as DIR/cat"
        " and DIR/dog"
    )


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
