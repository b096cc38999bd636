import struct
import zlib
from itertools import islice
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED

import pytest

from catdog.datasets import safe_zip
from catdog.datasets.safe_zip import opened
from catdog.errors import ArchiveError
from tests.catdog.datasets.zips import (
    BYTES,
    CONTENT,
    CRC,
    GOOD,
    OFFSET,
    PACKED_BYTES,
    declaring,
    number,
    packed,
    read,
    refused,
)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_zip, "LIMIT_MEMBERS", 2)
    assert read(GOOD, tmp_path)
    monkeypatch.setattr(safe_zip, "LIMIT_MEMBERS", 1)
    refused(GOOD, tmp_path, "2 files, more than 1")


def test_a_list_of_members_that_would_fill_the_memory_is_not_even_read(tmp_path: Path) -> None:
    directory = bytes(safe_zip.LIMIT_DIRECTORY_BYTES + 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, len(directory), 0, 0)
    refused(directory + end, tmp_path, "list of members takes 8,388,609 bytes")


def test_too_many_bytes_are_refused_before_any_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_zip, "LIMIT_UNPACKED_BYTES", 800)
    assert read(GOOD, tmp_path)
    monkeypatch.setattr(safe_zip, "LIMIT_UNPACKED_BYTES", 799)
    refused(GOOD, tmp_path, "800 bytes, more than 799")


def test_a_bomb_is_refused_for_its_ratio(tmp_path: Path) -> None:
    bomb = packed(("cat/1.jpg", bytes(safe_zip.RATIO_COUNTS_FROM_BYTES + 1)))
    assert len(bomb) < 1200
    refused(bomb, tmp_path, "1,048,577 bytes, more than 100 times")


def test_a_little_that_packs_well_is_no_bomb(tmp_path: Path) -> None:
    drawing = bytes(safe_zip.RATIO_COUNTS_FROM_BYTES)
    assert read(packed(("cat/1.jpg", drawing)), tmp_path) == {"cat/1.jpg": drawing}


def forged(content: bytes, declared_bytes: int, seen_bytes: int) -> bytes:
    """An archive whose file declares a size, and the CRC of the first `seen_bytes`."""
    archive = declaring(packed(("cat/1.jpg", content)), BYTES, declared_bytes)
    return declaring(archive, CRC, zlib.crc32(content[:seen_bytes]))


@pytest.mark.parametrize("seen_bytes", [7, 8, 400])
def test_a_file_longer_than_it_declares_is_refused(seen_bytes: int, tmp_path: Path) -> None:
    refused(forged(CONTENT, 7, seen_bytes), tmp_path, r"7 bytes, is wrong|CRC", "cat/1.jpg")


def test_of_a_bomb_that_declares_little_no_more_than_that_comes_out(tmp_path: Path) -> None:
    (tmp_path / "archive.zip").write_bytes(forged(bytes(50_000_000), 100_000, 100_001))
    with opened(tmp_path / "archive.zip") as archive:
        chunks = archive.read(next(iter(archive.members)), 1000)
        assert sum(len(chunk) for chunk in islice(chunks, 100)) == 100_000
        with pytest.raises(ArchiveError, match="100,000 bytes, is wrong"):
            next(chunks)


@pytest.mark.parametrize("compression", [ZIP_STORED, ZIP_DEFLATED])
def test_a_file_shorter_than_it_declares_is_refused(compression: int, tmp_path: Path) -> None:
    archive = declaring(packed(("cat/1.jpg", CONTENT), compression=compression), BYTES, 401)
    refused(archive, tmp_path, "401 bytes, is wrong", "cat/1.jpg")


def test_files_that_share_all_their_bytes_are_refused(tmp_path: Path) -> None:
    names = [f"cat/{place}.jpg" for place in range(9)]
    archive = packed(*[(name, CONTENT) for name in names])
    for place in range(1, 9):
        archive = declaring(archive, OFFSET, 0, place, local=False)
    refused(archive, tmp_path, "overlaps", "cat/1.jpg")


def test_files_that_quote_the_next_ones_header_are_refused(tmp_path: Path) -> None:
    """Fifield, "A better zip bomb" (2019): each file's deflate stream includes those of the files after it."""
    kernel, header_bytes = packed(("cat/1.jpg", CONTENT)), 30 + len("cat/1.jpg")
    header, deflated = kernel[:header_bytes], kernel[header_bytes:][: number(kernel, PACKED_BYTES)]
    quote = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF) + header  # a stored block, not the last one
    outer = declaring(packed(("cat/0.jpg", header + CONTENT)), PACKED_BYTES, len(quote) + len(deflated))
    before = outer[:header_bytes] + quote
    inner = declaring(kernel, OFFSET, len(before) - len(header), local=False)
    directory = _directory(outer) + _directory(inner)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(directory), len(before + deflated), 0)
    assert zlib.decompress(quote + deflated, -15) == header + CONTENT
    refused(before + deflated + directory + end, tmp_path, "overlaps", "cat/1.jpg")


def _directory(archive: bytes) -> bytes:
    return archive[archive.index(b"PK\x01\x02") : archive.index(b"PK\x05\x06")]
