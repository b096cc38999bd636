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
    """The file `given`, as it is, else the published one in `downloads`, which is downloaded where it is missing.

    A download that was cut off goes on where it stopped. The file appears under its name once its size and hash are
    right. Raises RecipeError where there is no file `given`, WeightsError where that has the published one's name and
    other content, DownloadError where the published one can't be had or the one in `downloads` is another.
    """
    if given is not None:
        if not given.is_file():
            raise RecipeError(
                f"{SETTING} names {shown(given.name)}, and there is no such file; correct the path, or unset it to"
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
            f" download it again; name weights in another form, such as float16, by {SETTING}"
        )
    return file


def refuse_damaged(file: Path) -> None:
    """Raise WeightsError for a file that bears the published one's name and has other content."""
    if file.name == FILE and (fault := _fault(file)):
        raise WeightsError(
            file.name,
            f"isn't what Keras publishes under this name: {fault}; download or copy it again, or rename it if it is"
            " meant to hold other weights",
        )


def _download(file: Path, progress: Progress | None) -> None:
    part = file.with_name(f"{FILE}.part")
    if progress is not None:
        progress(0.0, None)  # to find out that nothing answers takes time as well
    try:
        resumable_fetch.fetch(URL, part, progress=progress)
    except (OSError, HTTPException) as error:
        resumes = resumable_fetch.is_resumable(part)
        kept = " What has come is kept, and the next training goes on from there." if resumes else ""
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
            f"what came from {URL} isn't ImageNet's weights and was discarded: {fault}. Try again later. {_instead()}"
        )
    durable.sync(part)
    part.replace(file)
    resumable_fetch.discard(part)
    durable.sync(file.parent)


def _fault(file: Path) -> str | None:
    """What the size or the hash of a file says against it."""
    size = file.stat().st_size
    if size != BYTES:
        return f"it has {size:,} bytes instead of {BYTES:,}"
    with file.open("rb") as opened:
        found = file_digest(opened, lambda: md5(usedforsecurity=False)).hexdigest()
    return None if found == MD5 else f"its MD5 is {found} instead of {MD5}"


def _instead() -> str:
    return (
        f"On a machine that is offline, fetch the file elsewhere and put it into the data folder as downloads/{FILE},"
        f" or name it by {SETTING}. To train on the champion's backbone, which needs no download, ask for it:"
        ' --backbone champion, "backbone": "champion" in POST /retrain, or "Starts from" on the page'
    )
