"""A version as one file, to carry it to another machine.

It is a ZIP of the version's folder and of SHA256SUMS, which has the sha256 of every other file in it, in the format of
`sha256sum`. The same version gives the same bytes.
"""

import re
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from catdog.datasets import safe_zip
from catdog.datasets.safe_zip import Zipped
from catdog.errors import ArchiveError
from catdog.system import durable
from catdog.versions.manifest import Manifest
from catdog.versions.store import Draft, Store, Version
from catdog.versions.version import MANIFEST

SUMS: Final = "SHA256SUMS"
ZIP: Final = b"PK\x03\x04"  # its first bytes
LIMIT_TEXT_BYTES: Final = 4 * 2**20  # of the manifest and of the sums
_NAME = re.compile(r"(?:report/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # of a file of a version
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


def write(version: Version, path: Path) -> None:
    """Write the version to a new file; BrokenVersion, OSError if the disk is full."""
    version.verify()
    files = sorted(file for file in version.path.rglob("*") if file.is_file())
    names = {file.relative_to(version.path).as_posix(): file for file in files}
    sums = "".join(f"{durable.sha256_of(file)}  {name}\n" for name, file in names.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".catdog-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        with ZipFile(made, "w", ZIP_STORED) as archive:  # weights can't be compressed
            archive.writestr(ZipInfo(SUMS), sums)
            for name, file in names.items():
                with file.open("rb") as content, archive.open(ZipInfo(name), "w", force_zip64=True) as member:
                    shutil.copyfileobj(content, member)
        durable.sync(made)
        made.rename(path)
        durable.sync(path.parent)


def is_archive(path: Path) -> bool:
    """Whether the file is a ZIP with a version in it; OSError if it can't be read."""
    with path.open("rb") as file:
        if file.read(len(ZIP)) != ZIP:
            return False
    with safe_zip.opened(path) as zipped:
        return PurePosixPath(SUMS) in zipped.members


def publish(path: Path, store: Store) -> Version:
    """Publish the version in an archive under the store's next number; it isn't promoted.

    Nothing of the archive is trusted: names, sizes and every sha256 are checked before the version appears.
    ArchiveError, BrokenVersion if its files don't match its manifest, OSError if the disk is full.
    """
    with safe_zip.opened(path) as zipped:
        sums = _sums(zipped)
        with store.draft() as draft:
            for place, member in zipped.members.items():
                if str(place) == SUMS:
                    continue
                _unpack(zipped, place, draft, sums, member.file_size)
            manifest = _manifest(draft)
            _check_network(Version(manifest.version, draft.path, manifest))
            (draft.path / MANIFEST).unlink()  # the one with the new number is written last
            return draft.publish(lambda number: _numbered(manifest, number))


def _sums(zipped: Zipped) -> Mapping[str, str]:
    """The sha256 by name; ArchiveError unless exactly these files are in the archive."""
    lines = _text(zipped, SUMS).splitlines()
    matches = [_LINE.fullmatch(line) for line in lines]
    sums = {match[2]: match[1] for match in matches if match}
    names = {str(place) for place in zipped.members} - {SUMS}
    if len(sums) != len(lines) or sums.keys() != names or MANIFEST not in names:
        raise ArchiveError(f"its files are not the ones in {SUMS}", SUMS)
    if wrong := sorted(name for name in names if not _NAME.fullmatch(name)):
        raise ArchiveError("a version has no such file", wrong[0])
    return sums


def _text(zipped: Zipped, name: str) -> str:
    place = PurePosixPath(name)
    if place not in zipped.members:
        raise ArchiveError(f"it is not a version: it has no {SUMS}")
    if zipped.members[place].file_size > LIMIT_TEXT_BYTES:
        raise ArchiveError(f"it is larger than {LIMIT_TEXT_BYTES:,} bytes", name)
    return b"".join(zipped.read(place)).decode("ascii", "replace")


def _unpack(zipped: Zipped, place: PurePosixPath, draft: Draft, sums: Mapping[str, str], size_bytes: int) -> None:
    """Write a file of the version; large ones may be hard links to those of other versions."""
    if str(place) == MANIFEST and size_bytes > LIMIT_TEXT_BYTES:
        raise ArchiveError(f"it is larger than {LIMIT_TEXT_BYTES:,} bytes", MANIFEST)
    content = b"".join(zipped.read(place))
    if sha256(content).hexdigest() != sums[str(place)]:
        raise ArchiveError(f"its content isn't what {SUMS} says; copy the archive again", str(place))
    (draft.path / place).parent.mkdir(exist_ok=True)
    draft.put(str(place), memoryview(content))


def _manifest(draft: Draft) -> Manifest:
    try:
        return Manifest.from_json((draft.path / MANIFEST).read_bytes())
    except ValueError as error:
        raise ArchiveError(str(error), MANIFEST) from error


def _check_network(version: Version) -> None:
    """Raise BrokenVersion unless the weights are a network's, and the int8 graph is the one that belongs to them."""
    version.network("f32" if version.manifest.quantization is None else "int8")
    version.detector()


def _numbered(manifest: Manifest, number: int) -> Manifest:
    """The manifest with the number of this store, and without numbers of versions of the other one."""
    lineage = manifest.lineage.model_copy(update={"parent": None})
    return manifest.model_copy(update={"version": number, "lineage": lineage, "decision": None})
