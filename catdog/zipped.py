"""A ZIP that anybody may have made, opened so that nothing in it does harm.

It is taken whole or refused whole, with ArchiveError. zipfile finds the members and inflates them; it is not relied on
for more. What stops a bomb is this: no two members share bytes of the archive, the sizes that they declare add up to
no more than the limits, and none unpacks to one byte more than it declares.
"""

import re
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from io import BufferedReader, FileIO
from pathlib import Path, PurePosixPath
from unicodedata import category, normalize
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from catdog.errors import ArchiveError

LIMIT_MEMBERS = 20_000
LIMIT_DIRECTORY_BYTES = 8 * 1024**2  # of the archive's list of members, where that many usually take 2 to 4 MiB
LIMIT_UNPACKED_BYTES = 2 * 1024**3
LIMIT_RATIO = 100  # bytes unpacked for each byte of the archive: photos have 1, deflate can reach 1,032
RATIO_COUNTS_FROM_BYTES = 1024**2  # unpacked: a few drawings in plain colours may pack better, and do no harm
CHUNK_BYTES = 1024**2

_ENCRYPTED, _UTF8 = 0x1, 0x800  # flags of a member
_LOCAL_HEADER_BYTES = 30  # of each member, without its name
_DRIVE = re.compile(r"[A-Za-z]:")
_ARCHIVE_NAME = re.compile(r".*\.(?:zip|tar|t?gz|t?bz2?|t?xz|7z|rar|t?zst)", re.IGNORECASE | re.DOTALL)
_ARCHIVE_CONTENT = re.compile(
    rb"PK(?:\x03\x04|\x05\x06|\x07\x08)"
    rb"|.{257}ustar"
    rb"|\x1f\x8b"  # gzip
    rb"|BZh[1-9]"
    rb"|\xfd7zXZ\0"
    rb"|7z\xbc\xaf\x27\x1c"
    rb"|Rar!\x1a\x07"
    rb"|\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18",  # Zstandard, from its data or from what it skips
    re.DOTALL,
)
_NESTED = "it holds another archive; unpack that one first, and pack its pictures"


class Zipped:
    """An open archive; `members` are its files by their place in it, none of them hostile by what it declares."""

    def __init__(self, file: ZipFile, size_bytes: int) -> None:
        self._file = file
        self.members = _checked(file.infolist(), size_bytes)

    def read(self, place: PurePosixPath, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        """A member's content in chunks (262 bytes or more, to show an archive): just as many bytes as it declares."""
        member = self.members[place]
        longer = copy(member)
        longer.file_size += 1  # zipfile stops there without a word, however much is left
        count = 0
        with _reading(str(place)), self._file.open(longer) as content:
            while chunk := content.read(chunk_bytes):
                if not count and _ARCHIVE_CONTENT.match(chunk):
                    raise ArchiveError(_NESTED, str(place))
                count += len(chunk)
                if count > member.file_size:
                    break
                yield chunk
        if count != member.file_size:
            raise ArchiveError(
                f"it declares {member.file_size:,} bytes of a file, but they are another number", str(place)
            )


class _Bounded(BufferedReader):
    """A file of which nobody reads much at once: zipfile reads the list of members whole, however long it is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > max(LIMIT_DIRECTORY_BYTES, CHUNK_BYTES):
            raise ArchiveError(f"its list of members takes {size:,} bytes, more than {LIMIT_DIRECTORY_BYTES:,}")
        return super().read(size)


@contextmanager
def opened(archive: Path) -> Iterator[Zipped]:
    """The archive to be read; ArchiveError where it isn't a ZIP, or one that nobody makes in good faith."""
    with _Bounded(FileIO(archive)) as file:
        with _reading():
            zipped = ZipFile(file)
        with zipped:
            yield Zipped(zipped, archive.stat().st_size)


@contextmanager
def _reading(member: str | None = None) -> Iterator[None]:
    try:
        yield
    # What zipfile's versions raise over bytes that they can't make sense of; an OSError is the disk's.
    except (BadZipFile, EOFError, OverflowError, RuntimeError, ValueError, struct.error, zlib.error) as error:
        reason = str(error) or type(error).__name__
        raise ArchiveError(f"it is no ZIP file, or damaged or cut short ({reason})", member) from error


def _checked(infos: Sequence[ZipInfo], archive_bytes: int) -> dict[PurePosixPath, ZipInfo]:
    """The files among the members, after everything that can be known of all of them without unpacking."""
    if len(infos) > LIMIT_MEMBERS:
        raise ArchiveError(f"it holds {len(infos):,} files, more than {LIMIT_MEMBERS:,}")
    files, seen = {}, set()
    for info in infos:
        name = _name(info)
        _refuse_path(name)
        _refuse_kind(info, name)
        place = PurePosixPath(name)
        same = normalize("NFC", str(place)).casefold()
        if same in seen:
            raise ArchiveError("it holds the same name twice, as some file systems see it", name)
        seen.add(same)
        if not name.endswith("/"):
            files[place] = info
    _refuse_overlap(infos, archive_bytes)
    _refuse_bomb(sum(info.file_size for info in infos), archive_bytes)
    return files


def _name(info: ZipInfo) -> str:
    """The whole name, as it was meant: many write UTF-8 and don't say so, and zipfile takes it for code page 437."""
    name = info.orig_filename  # `filename` ends at a NUL
    if info.flag_bits & _UTF8:
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _refuse_path(name: str) -> None:
    if name.startswith("/") or _DRIVE.match(name) or ".." in PurePosixPath(name).parts:
        raise ArchiveError("it holds a path that leads out of it", name)
    if "\\" in name:
        raise ArchiveError("it holds a name with a backslash, where a ZIP has / between folders", name)
    if any(category(character) == "Cc" for character in name):
        raise ArchiveError("it holds a name with a control character", name)


def _refuse_kind(info: ZipInfo, name: str) -> None:
    is_folder = name.endswith("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR if is_folder else 0):
        raise ArchiveError("it holds a link or device", name)
    if is_folder and info.file_size:
        raise ArchiveError("it holds a folder with content of its own", name)
    if info.flag_bits & _ENCRYPTED:
        raise ArchiveError("it holds an encrypted file; pack it without a password", name)
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ArchiveError("it holds a file packed in an unusual way; use deflate, which every tool has", name)
    if not is_folder and _ARCHIVE_NAME.fullmatch(name):
        raise ArchiveError(_NESTED, name)


def _refuse_overlap(infos: Sequence[ZipInfo], archive_bytes: int) -> None:
    """Refuse members that use bytes twice, so that the archive is read once at most: Fifield, "A better zip bomb"."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        start, end = end, info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size
        if info.header_offset < start or end > archive_bytes:
            raise ArchiveError("it holds a file that overlaps another, or the end", _name(info))


def _refuse_bomb(unpacked_bytes: int, archive_bytes: int) -> None:
    if unpacked_bytes > LIMIT_UNPACKED_BYTES:
        raise ArchiveError(f"it unpacks to {unpacked_bytes:,} bytes, more than {LIMIT_UNPACKED_BYTES:,}")
    if unpacked_bytes > max(RATIO_COUNTS_FROM_BYTES, LIMIT_RATIO * archive_bytes):
        raise ArchiveError(f"it unpacks to {unpacked_bytes:,} bytes, more than {LIMIT_RATIO} times its own size")
