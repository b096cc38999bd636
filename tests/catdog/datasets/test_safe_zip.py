import io
import os
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zlib
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catdog.datasets.safe_zip import opened
from catdog.errors import ArchiveError
from tests.catdog.datasets.zips import (
    CONTENT,
    CRC,
    EXTRA_BYTES,
    FLAGS,
    GOOD,
    METHOD,
    OFFSET,
    PACKED_BYTES,
    declaring,
    packed,
    read,
    refused,
)
from tests.catdog.images.pictures import patched


class Pipe(io.BytesIO):
    def tell(self) -> int:
        raise io.UnsupportedOperation


def streamed() -> bytes:
    """GOOD as written by a streaming program: sizes come after the data."""
    file = Pipe()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr("cat/1.jpg", CONTENT)
        archive.writestr("dog/2.jpg", CONTENT[::-1])
    return file.getvalue()


def in_zip64() -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        for name, content in (("cat/1.jpg", CONTENT), ("dog/2.jpg", CONTENT[::-1])):
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    return file.getvalue()


def with_comment() -> bytes:
    file = io.BytesIO(GOOD)
    with ZipFile(file, "a") as archive:
        archive.comment = b"my pets PK\x05"
    return file.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        GOOD,
        packed(("cat/1.jpg", CONTENT), ("dog/2.jpg", CONTENT[::-1]), compression=ZIP_STORED),
        packed(("cat/", b""), ("./cat//1.jpg", CONTENT), ("dog/", b""), ("dog/2.jpg", CONTENT[::-1])),
        streamed(),
        in_zip64(),
        with_comment(),
        b"#!/bin/unpack\n" + GOOD,
    ],
    ids=["deflated", "stored", "with folders", "streamed", "zip64", "comment", "prefix"],
)
def test_an_honest_archive_is_read_to_the_byte(archive: bytes, tmp_path: Path) -> None:
    assert read(archive, tmp_path) == {"cat/1.jpg": CONTENT, "dog/2.jpg": CONTENT[::-1]}


def test_a_large_file_comes_in_chunks(tmp_path: Path) -> None:
    (tmp_path / "archive.zip").write_bytes(packed(("cat/1.jpg", b"meow" * 1000), compression=ZIP_STORED))
    with opened(tmp_path / "archive.zip") as archive:
        assert [len(chunk) for chunk in archive.read(next(iter(archive.members)), 1500)] == [1500, 1500, 1000]


def test_a_name_in_utf_8_that_is_not_declared_as_such_is_read_as_it_was_meant(tmp_path: Path) -> None:
    archive = packed(("été/1.jpg", CONTENT))
    assert read(declaring(archive, FLAGS, 0), tmp_path) == {"été/1.jpg": CONTENT}


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "cp932", "gbk"])
def test_a_name_in_an_unknown_encoding_keeps_its_bytes(encoding: str, tmp_path: Path) -> None:
    written = {"cp437": "été", "cp1252": "Kätzchen", "cp932": "猫", "gbk": "猫"}[encoding].encode(encoding)
    archive = packed(("_" * len(written) + "/1.jpg", CONTENT)).replace(b"_" * len(written), written)
    assert read(archive, tmp_path) == {f"{os.fsdecode(written)}/1.jpg": CONTENT}


def with_unicode_path(name: str, encoding: str, crc: int | None = None) -> bytes:
    """As written by Info-ZIP's zip: the name in the system's code page, and in UTF-8 in an extra field."""
    written = f"{name}/1.jpg".encode(encoding)
    info = ZipInfo("_" * len(written))
    utf_8 = f"{name}/1.jpg".encode()
    number = zlib.crc32(written) if crc is None else crc
    info.extra = struct.pack("<HHH", 0x5455, 2, 0) + struct.pack("<HHBL", 0x7075, 5 + len(utf_8), 1, number) + utf_8
    return packed((info, CONTENT)).replace(b"_" * len(written), written)


def test_a_name_in_the_unicode_path_field_is_read(tmp_path: Path) -> None:
    assert read(with_unicode_path("猫", "cp932"), tmp_path) == {"猫/1.jpg": CONTENT}


def test_a_unicode_path_that_was_made_for_another_name_is_passed_over(tmp_path: Path) -> None:
    assert read(with_unicode_path("猫", "cp932", crc=7), tmp_path) == {
        f"{os.fsdecode('猫'.encode('cp932'))}/1.jpg": CONTENT
    }


def test_a_unicode_path_that_leads_out_is_refused(tmp_path: Path) -> None:
    refused(with_unicode_path("../é", "cp437"), tmp_path, "leads out", "../é/1.jpg")


@pytest.mark.parametrize(
    "name", ["../1.jpg", "cat/../../1.jpg", "cat/..", "/1.jpg", "//host/1.jpg", "C:/1.jpg", "c:1.jpg", "../"]
)
def test_a_path_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    refused(packed((name, b"")), tmp_path, "leads out", name)


def with_backslashes(*names: str) -> bytes:
    """As Windows PowerShell packs them."""
    members = []
    for name in names:
        members.append((ZipInfo("x"), CONTENT if not name.endswith("\\") else b""))
        members[-1][0].filename = name
    return packed(*members)


def test_backslashes_are_read_as_separators(tmp_path: Path) -> None:
    archive = with_backslashes("cat\\", "cat\\1.jpg", "dog\\small\\2.jpg")
    assert read(archive, tmp_path) == {"cat/1.jpg": CONTENT, "dog/small/2.jpg": CONTENT}


def test_a_backslash_that_is_half_of_a_letter_is_no_separator(tmp_path: Path) -> None:
    archive = packed(("cat/__.jpg", CONTENT)).replace(b"__", "表".encode("cp932"))
    assert read(archive, tmp_path) == {"cat/\udc95\\.jpg": CONTENT}


@pytest.mark.parametrize("name", ["..\\1.jpg", "cat\\..\\..\\1.jpg", "\\\\host\\1.jpg", "C:\\1.jpg"])
def test_a_path_of_backslashes_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    refused(with_backslashes(name), tmp_path, "leads out", name.replace("\\", "/"))


@pytest.mark.parametrize("character", ["\0", "\n", "\r", "\x1b", "\x7f", "\x85"])
def test_a_control_character_is_refused(character: str, tmp_path: Path) -> None:
    written = "??"[: len(character.encode())]
    archive = declaring(packed((f"cat/1.jpg{written}.txt", CONTENT)), FLAGS, 0x800)
    name = f"cat/1.jpg{character}.txt"
    refused(archive.replace(f"cat/1.jpg{written}.txt".encode(), name.encode()), tmp_path, "control character", name)


def test_what_macos_calls_a_folder_s_icon_is_no_reason_to_refuse(tmp_path: Path) -> None:
    archive = packed(("cat/Icon\r", b""), ("__MACOSX/cat/._Icon\r", b"x"))
    assert set(read(archive, tmp_path)) == {"cat/Icon\r", "__MACOSX/cat/._Icon\r"}


def test_a_name_that_is_not_the_utf_8_that_it_says_is_refused(tmp_path: Path) -> None:
    archive = declaring(packed(("???/1.jpg", CONTENT)), FLAGS, 0x800)
    refused(archive.replace(b"???", b"\xff\xfe\xfd"), tmp_path, "damaged")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_what_is_no_regular_file_is_refused(kind: int, tmp_path: Path) -> None:
    link = ZipInfo("cat/1.jpg")
    link.external_attr = (kind | 0o777) << 16
    refused(packed((link, b"/etc/passwd")), tmp_path, "link or device", "cat/1.jpg")


def test_a_folder_that_hides_content_is_refused(tmp_path: Path) -> None:
    refused(packed(("cat?", CONTENT)).replace(b"cat?", b"cat/"), tmp_path, "folder with content", "cat/")


@pytest.mark.parametrize("local", [True, False])
def test_an_encrypted_file_is_refused(local: bool, tmp_path: Path) -> None:
    refused(declaring(GOOD, FLAGS, 0x1, member=1, local=local), tmp_path, "without a password", "dog/2.jpg")


@pytest.mark.parametrize("flag", [0x20, 0x40])
def test_flags_that_zipfile_does_not_know_are_refused(flag: int, tmp_path: Path) -> None:
    refused(declaring(GOOD, FLAGS, flag), tmp_path, "damaged", "cat/1.jpg")


@pytest.mark.parametrize("compression", [ZIP_BZIP2, ZIP_LZMA])
def test_an_unusual_compression_is_refused(compression: int, tmp_path: Path) -> None:
    refused(packed(("cat/1.jpg", CONTENT), compression=compression), tmp_path, "unsupported compression", "cat/1.jpg")


@pytest.mark.parametrize("method", [9, 93, 99])  # deflate64, Zstandard, AES
def test_a_compression_that_zipfile_does_not_know_is_refused(method: int, tmp_path: Path) -> None:
    refused(declaring(GOOD, METHOD, method), tmp_path, "unsupported compression", "cat/1.jpg")


def a_tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("cat.jpg"))
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cat/1.jpg", "cat/1.jpg"),
        ("cat/1.jpg", "Cat/1.JPG"),
        ("stra\u00dfe/1.jpg", "STRASSE/1.jpg"),
        (unicodedata.normalize("NFC", "été/1.jpg"), unicodedata.normalize("NFD", "été/1.jpg")),
        ("cat/1.jpg", "cat//1.jpg"),
        ("cat/1.jpg", "./cat/1.jpg"),
        ("cat/", "cat"),
        ("cat", "cat/"),
    ],
)
def test_a_name_that_comes_twice_is_refused(first: str, second: str, tmp_path: Path) -> None:
    refused(packed((first, b""), (second, b"")), tmp_path, "same name twice", second)


def test_a_folder_may_be_named_twice(tmp_path: Path) -> None:
    archive = packed(("cat/", b""), ("./cat/", b""), ("cat/1.jpg", CONTENT))

    assert read(archive, tmp_path) == {"cat/1.jpg": CONTENT}


def test_a_file_elsewhere_than_it_says_is_refused(tmp_path: Path) -> None:
    refused(declaring(GOOD, OFFSET, 1, local=False), tmp_path, "damaged", "cat/1.jpg")


@pytest.mark.parametrize(("field", "value"), [(OFFSET, 2**31), (PACKED_BYTES, 2**31)])
def test_a_file_beyond_the_end_is_refused(field: int, value: int, tmp_path: Path) -> None:
    refused(declaring(GOOD, field, value, member=1, local=False), tmp_path, "or the end", "dog/2.jpg")


def test_a_file_that_a_long_header_pushes_beyond_the_end_is_refused(tmp_path: Path) -> None:
    archive = packed(("cat/1.jpg", CONTENT))
    refused(patched(archive, EXTRA_BYTES, b"\xff\xff"), tmp_path, "truncated", "cat/1.jpg")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    place = GOOD.index(b"cat/1.jpg") + len("cat/1.jpg")
    refused(patched(GOOD, place + 3, bytes([GOOD[place + 3] ^ 0x10])), tmp_path, "damaged", "cat/1.jpg")


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    refused(declaring(GOOD, CRC, 7), tmp_path, "Bad CRC", "cat/1.jpg")


def test_two_headers_that_name_a_file_differently_are_refused(tmp_path: Path) -> None:
    refused(patched(GOOD, GOOD.index(b"cat/1"), b"cow/1"), tmp_path, "differ", "cat/1.jpg")


def test_an_archive_that_is_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    for kept in range(len(GOOD)):
        refused(GOOD[:kept], tmp_path, "truncated")


@pytest.mark.parametrize("content", [b"", b"meow", b"\xff\xd8\xff" * 100, bytes(100_000), a_tar()])
def test_what_is_no_zip_is_refused(content: bytes, tmp_path: Path) -> None:
    refused(content, tmp_path, r"not a ZIP file.*other formats \(.tar, .7z, .rar\) aren't read")


def test_a_disk_that_fails_is_no_fault_of_the_archive(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), opened(tmp_path / "missing.zip"):
        pass


def read_or_refused(archive: bytes) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return read(archive, Path(folder))
        except ArchiveError:
            return {}


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes, end: bytes) -> None:
    read_or_refused(content)
    read_or_refused(content + b"PK\x05\x06" + end)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_archive_is_refused_or_gives_what_was_in_it(data: st.DataObject) -> None:
    archive = data.draw(st.sampled_from([GOOD, in_zip64(), streamed(), with_comment()]))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(archive) - 1))
        archive = patched(archive, place, data.draw(st.binary(min_size=1, max_size=8)))[: len(archive)]
    assert set(read_or_refused(archive).values()) <= {CONTENT, CONTENT[::-1]}
