"""Downloads the 3,000 photos of cats and dogs from TensorFlow's tutorials.

The archive's sha256 isn't published anywhere that we know of, so none is built in. The first download is trusted, as in
the tutorials; its digest is shown and recorded next to the photos, and later downloads must have it. A digest from
another source can be passed.

Files next to the folder of photos, DIR:
    DIR.zip.part       the archive as far as downloaded, until it is unpacked
    DIR.zip.part.etag  the ETag of the content that this is a part of
    DIR.zip.sha256     the archive's digest, in the format of `sha256sum`
"""

import sys
from hashlib import file_digest
from http.client import HTTPException
from pathlib import Path

from catdog.errors import DownloadError
from training.data import archive, resumable_fetch

URL = "https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip"


def download(
    folder: Path, url: str = URL, sha256: str | None = None, timeout_seconds: float = resumable_fetch.TIMEOUT_SECONDS
) -> Path:
    """Download the photos into `folder`, as {train,validation}/{cat,dog}/*, and return it, for `train --data`.

    Does nothing if the folder has them already. An interrupted download is resumed; it starts again if the server
    can't resume or its content has changed. `sha256` (hex) is used instead of the recorded digest. `timeout_seconds`
    is how long the server may send nothing. Raises DownloadError.
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
        resumable_fetch.fetch(url, part, timeout_seconds)
    except (OSError, HTTPException) as error:
        raise _no_photos(url, part, error) from error
    try:
        digest = _verify(part, sha256 or recorded)
        archive.unpack(part, folder)
    except DownloadError:
        resumable_fetch.discard(part)
        raise
    record.write_text(f"{digest}  {folder.name}.zip\n", "ascii")
    resumable_fetch.discard(part)
    _say(f"sha256 {digest}, recorded in {record}\n")
    return folder


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and next(folder.iterdir(), None) is None


def _check_present(folder: Path, recorded: str | None, pinned: str | None) -> None:
    if not all((folder / split).is_dir() for split in archive.SPLITS):
        raise DownloadError(f"{folder} has other content; choose a folder that doesn't exist yet")
    if pinned and pinned.lower() != recorded:
        raise DownloadError(
            f"the photos in {folder} are from an archive with the sha256 {recorded or '(not recorded)'}, not {pinned};"
            " remove the folder to download them again"
        )
    _say(f"{folder} already has the photos\n")


def _verify(part: Path, expected: str | None) -> str:
    """The archive's sha256; DownloadError if it isn't the expected one."""
    with part.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    if expected and digest != expected.lower():
        raise DownloadError(
            f"the archive has the sha256 {digest}, but {expected} was expected, so it was not used;"
            " if you trust it anyway, pass its sha256"
        )
    return digest


def _no_photos(url: str, part: Path, error: Exception) -> DownloadError:
    resumes = resumable_fetch.is_resumable(part)
    again = " The downloaded part is kept; the same command resumes it." if resumes else ""
    return DownloadError(
        f"the photos can't be downloaded from {url}: {resumable_fetch.reason(error)}.{again} Without them, train on"
        " photos of your own: python -m training train --data DIR, where DIR has a folder of photos for each class,"
        " such as DIR/cat and DIR/dog"
    )


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
