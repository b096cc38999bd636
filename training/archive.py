"""Unpacks the published archive of photos, trusting nothing in it.

Nothing is written but photos, and those only under the names below, so no member can say where it goes.
"""

import re
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError  # noqa: N812  # it is a class

from catdog.errors import DownloadError

SPLITS = ("train", "validation")
CLASSES = {"cats": "cat", "dogs": "dog"}  # folder in the archive: folder here, named as in the shipped model
PHOTO = re.compile(
    rf"(?:[\w-]+/)?(?P<split>{'|'.join(SPLITS)})/(?P<folder>{'|'.join(CLASSES)})/(?P<name>\w[\w. -]*\.(?:jpe?g|png))",
    re.IGNORECASE | re.ASCII,
)
LIMIT_MEMBERS = 20_000  # of the archive; the published one has some 3,000
LIMIT_UNPACKED_BYTES = 1_000_000_000  # of all photos; the published ones have 70 million


def unpack(archive: Path, folder: Path) -> None:
    """Make `folder` of the archive's photos, as {train,validation}/{cat,dog}/*, whole or not at all.

    `folder` must be empty or missing. What is in the archive beside photos is left out. DownloadError where it isn't
    the archive that was expected, or holds what no honest one does: links, absolute or climbing paths, far too much.
    """
    aside = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed
    try:
        with ZipFile(archive) as zipped:
            for photo, place in _photos(zipped.infolist()):
                _write(zipped, photo, aside / place)
        aside.replace(folder)
    except (OSError, BadZipFile, ZlibError, EOFError, RuntimeError) as error:
        raise DownloadError(f"the archive can't be unpacked: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _photos(members: Sequence[ZipInfo]) -> list[tuple[ZipInfo, Path]]:
    """The members that are photos, with their places in the folder."""
    if len(members) > LIMIT_MEMBERS:
        raise DownloadError(f"the archive holds {len(members):,} files, more than {LIMIT_MEMBERS:,}")
    photos = []
    for member in members:
        _refuse_hostile(member)
        if match := PHOTO.fullmatch(member.filename):
            place = Path(match["split"].lower(), CLASSES[match["folder"].lower()], match["name"])
            photos.append((member, place))
    # The size that a member declares is also where zipfile stops to read it.
    unpacked_bytes = sum(member.file_size for member, _ in photos)
    if unpacked_bytes > LIMIT_UNPACKED_BYTES:
        raise DownloadError(f"the archive unpacks to {unpacked_bytes:,} bytes, more than {LIMIT_UNPACKED_BYTES:,}")
    for folder in (Path(split, name) for split in SPLITS for name in CLASSES.values()):
        if all(place.parent != folder for _, place in photos):
            raise DownloadError(f"the archive holds no photos for {folder}; it is not the one that was expected")
    return photos


def _refuse_hostile(member: ZipInfo) -> None:
    name = member.orig_filename
    climbs = ".." in PurePosixPath(name).parts
    if climbs or name.startswith("/") or "\\" in name or ":" in name or "\0" in name:
        raise DownloadError(f"the archive holds a path that leads out of it: {name!r}")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DownloadError(f"the archive holds a link or device: {name!r}")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise DownloadError(f"the archive holds a file packed in an unusual way: {name!r}")


def _write(zipped: ZipFile, photo: ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipped.open(photo) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
