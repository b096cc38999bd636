"""Opens an untrusted ZIP safely.

It is accepted or refused as a whole, with ArchiveError. zipfile only finds the members and inflates them. Three checks
stop ZIP bombs: no two members share bytes of the archive, their declared sizes add up to at most the limits, and none
unpacks to more bytes than it declares.
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
LIMIT_DIRECTORY_BYTES = 8 * 1024**2  # of the central directory; LIMIT_MEMBERS usually need 2 to 4 MiB
LIMIT_UNPACKED_BYTES = 2 * 1024**3
LIMIT_RATIO = 100  # bytes unpacked per byte of the archive: about 1 for photos; deflate can reach 1,032
RATIO_COUNTS_FROM_BYTES = 1024**2  # unpacked: a few drawings in plain colours may compress better, and are harmless
CHUNK_BYTES = 1024**2

_ENCRYPTED, _UTF8 = 0x1, 0x800  # flags of a member
_LOCAL_HEADER_BYTES = 30  # of each member, without its name
_DRIVE = re.compile(r"[A-Za-z]:")
_UNICODE_PATH = 0x7075  # Info-ZIP's extra field: APPNOTE.TXT, 4.6.9


class Zipped:
    """An open archive; `members` are its files by path, checked by their declared properties.

    `folders` are the folders listed in it. Bytes of a name in an unknown encoding are kept as by `os.fsdecode`.
    """

    def __init__(self, file: ZipFile, size_bytes: int) -> None:
        self._file = file
        self.members, self.folders = _checked(file.infolist(), size_bytes)

    def read(self, place: PurePosixPath, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        """A member's content in chunks: exactly as many bytes as it declares."""
        member = self.members[place]
        longer = copy(member)
        longer.file_size += 1  # zipfile silently stops there, even if more follows
        count = 0
        with _reading(str(place)), self._file.open(longer) as content:
            while chunk := content.read(chunk_bytes):
                count += len(chunk)
                if count > member.file_size:
                    break
                yield chunk
        if count != member.file_size:
            raise ArchiveError(f"the declared size of a file, {member.file_size:,} bytes, is wrong", str(place))


class _Bounded(BufferedReader):
    """A file that limits the size of one read: zipfile reads the whole central directory at once, of any size."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > max(LIMIT_DIRECTORY_BYTES, CHUNK_BYTES):
            raise ArchiveError(f"its list of members takes {size:,} bytes, more than {LIMIT_DIRECTORY_BYTES:,}")
        return super().read(size)


@contextmanager
def opened(archive: Path) -> Iterator[Zipped]:
    """Open the archive; ArchiveError if it isn't a ZIP, or is hostile."""
    with _Bounded(FileIO(archive)) as file:
        with _reading(hint="other formats (.tar, .7z, .rar) aren't read"):
            zipped = ZipFile(file)
        with zipped:
            yield Zipped(zipped, archive.stat().st_size)


@contextmanager
def _reading(member: str | None = None, hint: str = "") -> Iterator[None]:
    try:
        yield
    # The exceptions that various versions of zipfile raise for invalid bytes; an OSError comes from the disk.
    except (BadZipFile, EOFError, OverflowError, RuntimeError, ValueError, struct.error, zlib.error) as error:
        reason = str(error) or type(error).__name__
        raise ArchiveError(f"it is not a ZIP file, or is damaged or truncated ({reason})", member, hint) from error


def _checked(
    infos: Sequence[ZipInfo], archive_bytes: int
) -> tuple[dict[PurePosixPath, ZipInfo], tuple[PurePosixPath, ...]]:
    """The files and folders among the members, after all checks that don't need unpacking."""
    if len(infos) > LIMIT_MEMBERS:
        raise ArchiveError(f"it holds {len(infos):,} files, more than {LIMIT_MEMBERS:,}")
    files: dict[PurePosixPath, ZipInfo] = {}
    folders: list[PurePosixPath] = []
    seen: dict[str, bool] = {}  # whether it is a folder, by case-folded and normalised name
    for info in infos:
        name = _name(info)
        _refuse_path(name)
        _refuse_kind(info, name)
        place = PurePosixPath(name)
        same = normalize("NFC", str(place)).casefold()
        is_folder = name.endswith("/")
        if same in seen and not (is_folder and seen[same]):
            raise ArchiveError("it holds the same name twice for some file systems", name)
        seen[same] = is_folder
        if is_folder:
            folders.append(place)
        else:
            files[place] = info
    _refuse_overlap(infos, archive_bytes)
    _refuse_bomb(sum(info.file_size for info in infos), archive_bytes)
    return files, tuple(folders)


def _name(info: ZipInfo) -> str:
    """The whole name, decoded, with / between folders.

    Many programs write UTF-8 without setting its flag, and zipfile decodes that as code page 437. The code pages of DOS
    and Windows, Shift JIS and GBK can't be distinguished, so names that aren't UTF-8 keep their bytes.
    """
    name = info.orig_filename  # `filename` ends at a NUL
    if not info.flag_bits & _UTF8:
        written = name.encode("cp437")
        name = _unicode_path(info.extra, written) or written.decode("utf-8", "surrogateescape")
    if "/" in name and not is_unicode(name):
        return name  # in Shift JIS a backslash may be the second byte of a character
    return name.replace("\\", "/")  # written by some Windows tools


def _unicode_path(extra: bytes, written: bytes) -> str | None:
    """The name in Info-ZIP's extra field, unless it belongs to a name other than `written`."""
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
        raise ArchiveError(
            "it holds a file with an unsupported compression method; use deflate, which every tool has", name
        )


def _refuse_overlap(infos: Sequence[ZipInfo], archive_bytes: int) -> None:
    """Refuse overlapping members, so every byte of the archive is read at most once: Fifield, "A better zip bomb"."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        start, end = end, info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size
        if info.header_offset < start or end > archive_bytes:
            raise ArchiveError("it holds a file that overlaps another one, or the end of the archive", _name(info))


def _refuse_bomb(unpacked_bytes: int, archive_bytes: int) -> None:
    if unpacked_bytes > LIMIT_UNPACKED_BYTES:
        raise ArchiveError(f"it unpacks to {unpacked_bytes:,} bytes, more than {LIMIT_UNPACKED_BYTES:,}")
    if unpacked_bytes > max(RATIO_COUNTS_FROM_BYTES, LIMIT_RATIO * archive_bytes):
        raise ArchiveError(f"it unpacks to {unpacked_bytes:,} bytes, more than {LIMIT_RATIO} times its own size")
