"""ImageNet's VGG16 weights: downloaded, verified and cached, or read from a file."""

from errno import EDQUOT, ENOSPC
from hashlib import file_digest, md5
from http.client import HTTPException
from pathlib import Path

from catdog.errors import DownloadError, RecipeError, WeightsError
from catdog.faults import shown
from catdog.system import durable
from training.data import resumable_fetch
from training.data.resumable_fetch import Progress

# As Keras publishes them: converted from the authors' own (CC BY 4.0), float32.
FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{FILE}"
BYTES = 58_889_256
MD5 = "6d6bbae143d832006294945121d1f1fc"  # Keras publishes no other digest

SETTING = "CATDOG_IMAGENET_WEIGHTS"
DISK_FULL = (ENOSPC, EDQUOT)


def weights_file(downloads: Path, given: Path | None = None, progress: Progress | None = None) -> Path:
    """The file `given`, else the published one in `downloads`, which is downloaded if it is missing.

    An interrupted download is resumed. The file gets its name only after its size and hash were verified. Raises
    RecipeError if the file `given` doesn't exist, WeightsError if it has the published file's name but other content,
    DownloadError if the published file can't be downloaded or the one in `downloads` has other content.
    """
    if given is not None:
        if not given.is_file():
            raise RecipeError(
                f"{SETTING} names {shown(given.name)}, but there is no such file; correct the path, or unset it to"
                " download ImageNet's weights"
            )
        refuse_damaged(given)
        return given
    file = downloads / FILE
    if not file.exists():
        downloads.mkdir(parents=True, exist_ok=True)
        with durable.locked(downloads / durable.LOCK):  # another training may be downloading it
            if not file.exists():
                _download(file, progress)
    if fault := _fault(file):
        raise DownloadError(
            f"downloads/{FILE} in the data folder isn't what Keras publishes under this name: {fault}. Remove it to"
            f" download it again; to use other weights, such as float16 ones, set {SETTING}"
        )
    return file


def refuse_damaged(file: Path) -> None:
    """Raise WeightsError for a file that has the published one's name but other content."""
    if file.name == FILE and (fault := _fault(file)):
        raise WeightsError(
            file.name,
            f"isn't what Keras publishes under this name: {fault}; download or copy it again, or rename it if it"
            " intentionally has other weights",
        )


def _download(file: Path, progress: Progress | None) -> None:
    part = file.with_name(f"{FILE}.part")
    if progress is not None:
        progress(0.0, None)  # a server that doesn't answer takes time to detect
    try:
        resumable_fetch.fetch(URL, part, progress=progress)
    except (OSError, HTTPException) as error:
        resumes = resumable_fetch.is_resumable(part)
        kept = " The downloaded part is kept, and the next training resumes it." if resumes else ""
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise DownloadError(
                f"ImageNet's weights, {BYTES / 1e6:.0f} MB, don't fit into the data folder: {error.strerror}. Free some"
                f" space, and train again.{kept}"
            ) from error
        raise DownloadError(
            f"ImageNet's weights can't be downloaded from {URL}: {resumable_fetch.reason(error)}.{kept} {_instead()}"
        ) from error
    if fault := _fault(part):
        resumable_fetch.discard(part)
        raise DownloadError(
            f"the download from {URL} isn't ImageNet's weights and was discarded: {fault}. Retry later. {_instead()}"
        )
    durable.sync(part)
    part.replace(file)
    resumable_fetch.discard(part)
    durable.sync(file.parent)


def _fault(file: Path) -> str | None:
    """What is wrong with the size or hash of a file, None if both are right."""
    size = file.stat().st_size
    if size != BYTES:
        return f"it has {size:,} bytes instead of {BYTES:,}"
    with file.open("rb") as opened:
        found = file_digest(opened, lambda: md5(usedforsecurity=False)).hexdigest()
    return None if found == MD5 else f"its MD5 is {found} instead of {MD5}"


def _instead() -> str:
    return (
        f"On an offline machine, download the file elsewhere and put it into the data folder as downloads/{FILE},"
        f" or set {SETTING} to its path. The champion's backbone needs no download; to train on it, use"
        ' --backbone champion, "backbone": "champion" in POST /retrain, or "Starts from" on the page'
    )
