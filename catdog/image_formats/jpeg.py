"""Parses a JPEG before Pillow does, in linear time, and keeps only what the pixels need.

Follows ITU-T T.81, annex B. Pillow handles segments in Python and joins Exif segments one by one, in quadratic time.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from catdog.image_formats.orientation import Metadata

LIMIT_SEGMENTS = 1000  # phones write up to 160: extended XMP, depth maps, gain maps, 64 KiB each
LIMIT_SCANS = 50  # 10 are usual; 42 bytes are enough for one more pass over every pixel
LIMIT_FILL_BYTES = 65_536  # between the segments before the first scan
LIMIT_TABLE_BYTES = 65_536  # of quantization tables before the first scan, 520 are usual; Pillow unpacks them in Python

START, END, SCAN = b"\xff\xd8", b"\xff\xd9", b"\xff\xda"
_SEQUENTIAL = (0xC0, 0xC1)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITH_LENGTH = (frozenset(range(0xC0, 0xF0)) | {0xFE}) - set(range(0xD0, 0xDA)) - {0xC8}
_APPLICATION = range(0xE0, 0xF0)
_COMMENT, _QUANTIZATION = 0xFE, 0xDB
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")  # restarts (D0 to D7) belong to the pixels
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_PADDING_BYTES = 8  # longer runs of zeros aren't pixels


@dataclass(frozen=True)
class Segment:
    """A segment from its marker at `start` to `end`; the content follows its length field."""

    marker: int
    start: int
    end: int
    content: memoryview

    def begins(self, *starts: bytes) -> bool:
        return any(self.content[: len(start)] == start for start in starts)


@dataclass(frozen=True)
class Jpeg:
    """A parsed JPEG; `file` has no metadata, and ends with an end marker."""

    file: bytes
    metadata: Metadata
    has_end: bool  # in the original file; if not, only the pixels show whether it is truncated


@dataclass
class _Reading:
    """The state of parsing a JPEG."""

    kept: list[bytes | memoryview] = field(default_factory=lambda: [START])
    exif: list[memoryview] = field(default_factory=list)
    xmp: memoryview | None = None
    scans: int = 0
    first_scan: int = 0  # its offset
    table_bytes: int = 0


def read(data: bytes) -> Jpeg:
    """Parse a JPEG; OSError if it is broken or exceeds the limits."""
    reading, coverage, end = _Reading(), _Coverage(), None
    for segment in segments(data):
        if segment.marker == 0xD9:
            end = segment.start
            break
        if segment.marker in _FRAMES and not reading.first_scan:
            coverage.frame(segment)
        if segment.marker == 0xDA:
            coverage.scan(segment)
            reading.scans += 1
            reading.first_scan = reading.first_scan or segment.start
            if reading.scans > LIMIT_SCANS:
                raise OSError(f"more than {LIMIT_SCANS} scans")
        if not reading.first_scan:
            _sort(segment, reading, data)
    return _rebuilt(data, reading, coverage, end)


def segments(data: bytes) -> Iterator[Segment]:
    """Every segment in order, including those between the pixels; OSError if there are more than LIMIT_SEGMENTS."""
    view, at, scanned, fill_bytes = memoryview(data), 2, False, 0
    for _ in range(LIMIT_SEGMENTS):
        until = len(data) if scanned else at + LIMIT_FILL_BYTES - fill_bytes
        found = _MARKER.search(data, at, until)
        if found is None and until < len(data):
            raise OSError(f"more than {LIMIT_FILL_BYTES:,} bytes between its segments")
        if found is None:
            return
        fill_bytes += 0 if scanned else found.start() - at
        marker, start, at = found[1][0], found.start(), found.end()
        if marker in _WITH_LENGTH:
            length = int.from_bytes(view[at : at + 2])
            if length < 2 or at + length > len(data):
                if scanned:  # damage inside the pixels, which the decoder handles
                    return
                raise OSError("a segment before the pixels is truncated")
            at += length
        scanned |= marker == 0xDA
        yield Segment(marker, start, at, view[start + 4 : at])
        if marker == 0xD9:
            return
    raise OSError(f"more than {LIMIT_SEGMENTS:,} segments")


def _sort(segment: Segment, reading: _Reading, data: bytes) -> None:
    """Note the orientation, and keep the segment if pixels depend on it."""
    if segment.marker == 0xE1 and segment.begins(_EXIF):
        reading.exif.append(segment.content[len(_EXIF) :])
    elif segment.marker == 0xE1 and segment.begins(_XMP):
        reading.xmp = segment.content[len(_XMP) :]
    if segment.marker == _QUANTIZATION:
        reading.table_bytes += len(segment.content)
        if reading.table_bytes > LIMIT_TABLE_BYTES:
            raise OSError(f"more than {LIMIT_TABLE_BYTES:,} bytes of quantization tables")
    if _counts(segment):
        reading.kept.append(memoryview(data)[segment.start : segment.end])


def _counts(segment: Segment) -> bool:
    """Whether libjpeg's pixels depend on it: of the metadata only JFIF and Adobe define the colour model."""
    if segment.marker == 0xE0:
        return segment.begins(b"JFIF\0") and len(segment.content) >= 14
    if segment.marker == 0xEE:
        return segment.begins(b"Adobe") and len(segment.content) >= 12
    return segment.marker not in _APPLICATION and segment.marker != _COMMENT


def _rebuilt(data: bytes, reading: _Reading, coverage: "_Coverage", end: int | None) -> Jpeg:
    exif = b"".join((_EXIF, *reading.exif)) if reading.exif else b""
    metadata = Metadata(exif, bytes(reading.xmp or b""))
    if not reading.first_scan:
        raise OSError("no pixels follow its header")
    if end is None and data.find(END, reading.first_scan) >= 0:  # after damage; `rfind` is slow if there is none
        end = data.rfind(END)
    has_end = end is not None
    if end is None:
        coverage.check()
        end = _end_of_pixels(data)
    header = b"".join(reading.kept)
    return Jpeg(b"".join((header, memoryview(data)[reading.first_scan : end], END)), metadata, has_end)


def _end_of_pixels(data: bytes) -> int:
    """The end of the file without padding: 0xFF bytes, or zeros, the first of which may be pixels."""
    noughts = len(data) - len(data.rstrip(b"\0"))
    if noughts > _PADDING_BYTES:
        return len(data) - noughts + _PADDING_BYTES
    return len(data.rstrip(b"\xff"))


class _Coverage:
    """The coefficients of each component that the scans have sent, down to which bit."""

    def __init__(self) -> None:
        self._bits: dict[int, list[int | None]] = {}

    def frame(self, segment: Segment) -> None:
        content = segment.content
        if len(content) < 6 or len(content) != 6 + 3 * content[5]:
            raise OSError("the length of its frame header is wrong")
        self._bits = {number: [None] * 64 for number in content[6::3]}

    def scan(self, segment: Segment) -> None:
        content = bytes(segment.content)
        with_last = 1 + 2 * content[0] if content else 0
        if len(content) < with_last + 3:
            raise OSError("a scan's header is truncated")
        first, last, low = content[with_last], content[with_last + 1], content[with_last + 2] & 15
        for number in content[1:with_last:2]:
            if number in self._bits:
                self._bits[number][first : last + 1] = [low] * (min(last, 63) + 1 - first)

    def check(self) -> None:
        """OSError unless scans have sent every bit of every component."""
        if not self._bits or any(bit != 0 for bits in self._bits.values() for bit in bits):
            raise OSError("image file is truncated: scans are missing")


@dataclass(frozen=True)
class Frame:
    """The header's description of the pixels."""

    width: int
    height: int
    components: int
    is_one_pass: bool  # a decoder keeps the coefficients of only a few rows, else all of them
    has_end: bool


def frame(data: bytes) -> Frame | None:
    """The frame header, None if there is none before the pixels; OSError if it is broken or exceeds the limits."""
    last = None
    for segment in segments(data):
        if segment.marker == 0xDA:
            break
        if segment.marker in _FRAMES and len(segment.content) >= 6:
            last = segment
    if last is None or segment.marker != 0xDA or not len(segment.content):
        return None
    height, width, components = struct.unpack_from(">HHB", last.content, 1)
    is_one_pass = last.marker in _SEQUENTIAL and segment.content[0] == components
    has_end = data.endswith(END) or data.find(END, segment.start) >= 0
    return Frame(width, height, components, is_one_pass, has_end)
