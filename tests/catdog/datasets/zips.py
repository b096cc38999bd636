"""ZIP archives for tests: valid ones, and ones with forged headers."""

import io
import struct
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from catdog.datasets.safe_zip import opened
from catdog.errors import ArchiveError
from tests.catdog.images.pictures import patched

LOCAL, DIRECTORY = b"PK\x03\x04", b"PK\x01\x02"  # a member's header before its data, and in the list at the end
# Where a field stands in the directory's header; in the local one it is 2 bytes earlier.
FLAGS, METHOD, CRC, PACKED_BYTES, BYTES = 8, 10, 16, 20, 24
OFFSET = 42  # which stands in the directory alone
EXTRA_BYTES = 28  # in the local header, how much stands between it and the data


def packed(*members: tuple[str | ZipInfo, bytes], compression: int = ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w", compression) as zipped:
        for name, content in members:
            zipped.writestr(name, content)
    return file.getvalue()


def declaring(archive: bytes, field: int, value: int, member: int = 0, local: bool = True) -> bytes:
    """`archive` with a number in one member's headers replaced, in the directory and optionally before the data."""
    width = 2 if field in (FLAGS, METHOD) else 4
    number = struct.pack("<Q", value)[:width]
    archive = patched(archive, _place(archive, DIRECTORY, member) + field, number)
    return patched(archive, _place(archive, LOCAL, member) + field - 2, number) if local else archive


def number(archive: bytes, field: int, member: int = 0) -> int:
    """A four-byte number of a member's header in the directory."""
    start = _place(archive, DIRECTORY, member) + field
    return int.from_bytes(archive[start : start + 4], "little")


def _place(archive: bytes, signature: bytes, member: int) -> int:
    place = archive.index(signature)
    for _ in range(member):
        place = archive.index(signature, place + 1)
    return place


CONTENT = b"meow" * 100
GOOD = packed(("cat/1.jpg", CONTENT), ("dog/2.jpg", CONTENT[::-1]))


def read(archive: bytes, folder: Path) -> dict[str, bytes]:
    """Every file in the archive, by its path."""
    path = folder / "archive.zip"
    path.write_bytes(archive)
    with opened(path) as open_archive:
        return {str(place): b"".join(open_archive.read(place)) for place in open_archive.members}


def refused(archive: bytes, folder: Path, match: str, member: str | None = None) -> None:
    with pytest.raises(ArchiveError, match=match) as caught:
        read(archive, folder)
    assert caught.value.member == member
