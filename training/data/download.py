"""Downloads the 3,000 photos of cats and dogs from TensorFlow's tutorials.

We know of no place where the archive's sha256 is published, so none is built in. The first download is trusted, as the
tutorials trust every one; its digest is shown and put on record beside the photos, and later downloads must have it.
Who has the digest from elsewhere can pass it.

Beside the folder of photos, DIR, there are
    DIR.zip.part       the archive as far as it has come, until it is unpacked
    DIR.zip.part.etag  what the server calls the content that this is a part of
    DIR.zip.sha256     the archive's digest, in the form that `sha256sum` writes
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
    _say(f"sha256 {digest}, on record in {record}\n")
    return folder


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


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
    resumes = resumable_fetch.is_resumable(part)
    again = " What has come is kept, and the same command goes on from there." if resumes else ""
    return DownloadError(
        f"the photos can't be downloaded from {url}: {resumable_fetch.reason(error)}.{again} Without them, train on"
        " photos of your own: python -m training train --data DIR, where DIR holds a folder of photos for each class,"
        " such as DIR/cat and DIR/dog"
    )


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
