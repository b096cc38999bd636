"""Unpacks the downloaded archive of photos safely.

Only photos are written, and only under the names below, so no member can choose its path.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from zipfile import ZipInfo

from catdog.datasets.safe_zip import Zipped, opened
from catdog.errors import ArchiveError, DownloadError

SPLITS = ("train", "validation")
CLASSES = {"cats": "cat", "dogs": "dog"}  # folder in the archive: folder here, named like the shipped model's classes
PHOTO = re.compile(
    rf"(?:[\w-]+/)?(?P<split>{'|'.join(SPLITS)})/(?P<folder>{'|'.join(CLASSES)})/(?P<name>\w[\w. -]*\.(?:jpe?g|png))",
    re.IGNORECASE | re.ASCII,
)
LIMIT_UNPACKED_BYTES = 1_000_000_000  # limit for all photos; the published ones have 70 million


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the archive's photos into `folder`, as {train,validation}/{cat,dog}/*, all or nothing.

    `folder` must be empty or missing. Files other than photos are left out. DownloadError if it isn't the expected
    archive, or if it is hostile: links, absolute paths, paths with "..", or far too much content.
    """
    aside = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed
    try:
        with opened(archive) as zipped:
            for member, place in _photos(zipped.members).items():
                _write(zipped, member, aside / place)
        aside.replace(folder)
    except ArchiveError as error:
        raise DownloadError(str(error)) from error
    except OSError as error:
        raise DownloadError(f"the archive can't be unpacked: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _photos(members: Mapping[PurePosixPath, ZipInfo]) -> dict[PurePosixPath, Path]:
    """The members that are photos, with their places in the folder."""
    photos = {
        member: Path(match["split"].lower(), CLASSES[match["folder"].lower()], match["name"])
        for member in members
        if (match := PHOTO.fullmatch(str(member)))
    }
    unpacked_bytes = sum(members[member].file_size for member in photos)
    if unpacked_bytes > LIMIT_UNPACKED_BYTES:
        raise DownloadError(f"the archive unpacks to {unpacked_bytes:,} bytes, more than {LIMIT_UNPACKED_BYTES:,}")
    for folder in (Path(split, name) for split in SPLITS for name in CLASSES.values()):
        if all(place.parent != folder for place in photos.values()):
            raise DownloadError(f"the archive holds no photos for {folder}; it is not the expected archive")
    return photos


def _write(zipped: Zipped, member: PurePosixPath, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(zipped.read(member))
