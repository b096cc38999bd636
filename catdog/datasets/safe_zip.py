"""Opens an untrusted ZIP safely.

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

from catdog.datasets.folders import is_leftover
from catdog.datasets.layout import is_unicode
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
_UNICODE_PATH = 0x7075  # Info-ZIP's extra field: APPNOTE.TXT, 4.6.9


class Zipped:
    """An open archive; `members` are its files by their place in it, none of them hostile by what it declares.

    `folders` are those that it names. A name in an unknown encoding has its bytes as `os.fsdecode` would keep them.
    """

    def __init__(self, file: ZipFile, size_bytes: int) -> None:
        self._file = file
        self.members, self.folders = _checked(file.infolist(), size_bytes)

    def read(self, place: PurePosixPath, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        """A member's content in chunks: just as many bytes as it declares."""
        member = self.members[place]
        longer = copy(member)
        longer.file_size += 1  # zipfile stops there without a word, however much is left
        count = 0
        with _reading(str(place)), self._file.open(longer) as content:
            while chunk := content.read(chunk_bytes):
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
        with _reading(hint="other formats (.tar, .7z, .rar) aren't read"):
            zipped = ZipFile(file)
        with zipped:
            yield Zipped(zipped, archive.stat().st_size)


@contextmanager
def _reading(member: str | None = None, hint: str = "") -> Iterator[None]:
    try:
        yield
    # What zipfile's versions raise over bytes that they can't make sense of; an OSError is the disk's.
    except (BadZipFile, EOFError, OverflowError, RuntimeError, ValueError, struct.error, zlib.error) as error:
        reason = str(error) or type(error).__name__
        raise ArchiveError(f"it is no ZIP file, or damaged or cut short ({reason})", member, hint) from error


def _checked(
    infos: Sequence[ZipInfo], archive_bytes: int
) -> tuple[dict[PurePosixPath, ZipInfo], tuple[PurePosixPath, ...]]:
    """The files and folders among the members, after everything that can be known of them without unpacking."""
    if len(infos) > LIMIT_MEMBERS:
        raise ArchiveError(f"it holds {len(infos):,} files, more than {LIMIT_MEMBERS:,}")
    files: dict[PurePosixPath, ZipInfo] = {}
    folders: list[PurePosixPath] = []
    seen: dict[str, bool] = {}  # whether each name, as some file systems see it, is a folder's
    for info in infos:
        name = _name(info)
        _refuse_path(name)
        _refuse_kind(info, name)
        place = PurePosixPath(name)
        same = normalize("NFC", str(place)).casefold()
        is_folder = name.endswith("/")
        if same in seen and not (is_folder and seen[same]):
            raise ArchiveError("it holds the same name twice, as some file systems see it", name)
        seen[same] = is_folder
        if is_folder:
            folders.append(place)
        else:
            files[place] = info
    _refuse_overlap(infos, archive_bytes)
    _refuse_bomb(sum(info.file_size for info in infos), archive_bytes)
    return files, tuple(folders)


def _name(info: ZipInfo) -> str:
    """The whole name, as it was meant, with / between folders.

    Many write UTF-8 and don't say so, and zipfile reads it as code page 437. The code pages of DOS and Windows, Shift
    JIS and GBK can't be distinguished, so the bytes of other names are kept as they are.
    """
    name = info.orig_filename  # `filename` ends at a NUL
    if not info.flag_bits & _UTF8:
        written = name.encode("cp437")
        name = _unicode_path(info.extra, written) or written.decode("utf-8", "surrogateescape")
    if "/" in name and not is_unicode(name):
        return name  # in Shift JIS a backslash may be half of a letter
    return name.replace("\\", "/")  # which Windows' own tools have written


def _unicode_path(extra: bytes, written: bytes) -> str | None:
    """The name in Info-ZIP's extra field, unless it was made for another name than the one that is `written`."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        field = extra[place + 4 : place + 4 + length]
        if kind == _UNICODE_PATH and length > 5 and field[:5] == struct.pack("<BL", 1, zlib.crc32(written)):
            return field[5:].decode("utf-8", "surrogateescape")
        place += 4 + length
    return None


def _refuse_path(name: str) -> None:
    if name.startswith("/") or _DRIVE.match(name) or ".." in PurePosixPath(name).parts:
        raise ArchiveError("it holds a path that leads out of it", name)
    parts = PurePosixPath(name).parts
    if any(category(character) == "Cc" for part in parts if not is_leftover(part) for character in part):
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
