"""Reads the real size of the pictures in an AVIF from its AV1 headers.

Follows ISO/IEC 14496-12 (boxes), 23008-12 (items) and the AV1 specification, 5.3 to 5.5. The container can't be
trusted: a file of 2 KB whose container says 64 x 64 decoded to 144 megapixels.
"""

import struct
from collections.abc import Iterator

LIMIT_PARTS = 4096  # boxes, items, extents and units, each
_TO_SAMPLES = (b"trak", b"mdia", b"minf", b"stbl")
_SEQUENCE_HEADER = 1


def largest_frame(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of the largest picture that a decoder can find; OSError if there is none."""
    view, sizes, budget = memoryview(data), [], iter(range(LIMIT_PARTS))
    try:
        for stream in _streams(view):
            sizes += [_frame_size(header) for header in _sequence_headers(stream, budget)]
    except (struct.error, IndexError) as error:
        raise OSError("its structure is broken") from error
    if not sizes:
        raise OSError("it holds no AV1 picture")
    return max(sizes, key=lambda size: size[0] * size[1])


def _boxes(data: memoryview, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The name of each box, and the start and end of its content."""
    for _ in range(LIMIT_PARTS):
        if start + 8 > end:
            return
        length, name = struct.unpack_from(">I4s", data, start)
        content = start + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, content)
            content += 8
        behind = end if length == 0 else min(end, start + length)
        yield name, content, behind
        start = max(behind, content)
    raise OSError(f"more than {LIMIT_PARTS:,} boxes")


def _streams(data: memoryview) -> Iterator[memoryview]:
    """The AV1 stream of each item, and of each track's first picture."""
    for name, start, end in _boxes(data, 0, len(data)):
        if name == b"meta":
            yield from _items(data, start + 4, end)
        elif name == b"moov":
            yield from _first_samples(data, start, end, _TO_SAMPLES)


def _first_samples(data: memoryview, start: int, end: int, path: tuple[bytes, ...]) -> Iterator[memoryview]:
    boxes = list(_boxes(data, start, end))
    if path:
        for name, inner, behind in boxes:
            if name == path[0]:
                yield from _first_samples(data, inner, behind, path[1:])
        return
    at = {name: inner for name, inner, _ in boxes}
    if b"stsz" in at and (b"stco" in at or b"co64" in at):
        same, _, first_size = struct.unpack_from(">III", data, at[b"stsz"] + 4)
        where, form = (at[b"stco"], ">I") if b"stco" in at else (at[b"co64"], ">Q")
        (first,) = struct.unpack_from(form, data, where + 8)
        yield data[first : first + (same or first_size)]


def _items(data: memoryview, start: int, end: int) -> Iterator[memoryview]:
    boxes = list(_boxes(data, start, end))
    inside = next((inner for name, inner, _ in boxes if name == b"idat"), 0)
    pictures = {
        item for name, inner, behind in boxes if name == b"iinf" for item in _picture_items(data, inner, behind)
    }
    left_bytes = len(data)
    for name, inner, _ in boxes:
        for item, extents in _extents(data, inner, inside) if name == b"iloc" else ():
            if item not in pictures:
                continue
            left_bytes -= sum(map(len, extents)) if len(extents) > 1 else 0
            if left_bytes < 0:
                raise OSError("its parts overlap")
            yield extents[0] if len(extents) == 1 else memoryview(b"".join(extents))


def _picture_items(data: memoryview, start: int, end: int) -> Iterator[int]:
    """The numbers of the items in AV1."""
    for name, inner, _ in _boxes(data, start + (6 if data[start] == 0 else 8), end):
        if name == b"infe":
            size = 2 if data[inner] == 2 else 4
            if bytes(data[inner + size + 6 : inner + size + 10]) == b"av01":
                yield int.from_bytes(data[inner + 4 : inner + 4 + size])


def _extents(data: memoryview, at: int, inside: int) -> Iterator[tuple[int, list[memoryview]]]:
    """Each item's number, and the parts with its data."""
    version, sizes, more_sizes = data[at], data[at + 4], data[at + 5]
    size = 4 if version == 2 else 2
    numbers = _Numbers(data, at + 6)
    all_extents = 0
    for _ in range(_within_limit(numbers.next(size))):
        item = numbers.next(size)
        method = numbers.next(2) & 15 if version else 0
        numbers.next(2)
        base = numbers.next(more_sizes >> 4) + (inside if method == 1 else 0)
        extents, count = [], numbers.next(2)
        all_extents = _within_limit(all_extents + count)
        for _ in range(count):
            numbers.next(more_sizes & 15 if version else 0)
            first = base + numbers.next(sizes >> 4)
            length = numbers.next(sizes & 15)
            extents.append(data[first : first + length if length else len(data)])
        if extents:
            yield item, extents


def _within_limit(count: int) -> int:
    if count > LIMIT_PARTS:
        raise OSError(f"more than {LIMIT_PARTS:,} parts")
    return count


class _Numbers:
    """Reads consecutive big-endian numbers."""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data = data
        self._at = at

    def next(self, size: int) -> int:
        self._at += size
        if self._at > len(self._data):
            raise IndexError
        return int.from_bytes(self._data[self._at - size : self._at])


def _sequence_headers(data: memoryview, budget: Iterator[int]) -> Iterator[memoryview]:
    """The contents of the sequence headers in an AV1 stream, up to its end or the first invalid unit."""
    at = 0
    for _ in budget:
        if at >= len(data) or data[at] & 0x80:
            return
        kind, has_more, has_size = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + has_more
        size = len(data) - at
        if has_size:
            size, at = _leb128(data, at)
        if kind == _SEQUENCE_HEADER:
            yield data[at : at + size]
        at += size
    raise OSError(f"more than {LIMIT_PARTS:,} units")


def _leb128(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        value |= (data[at + place] & 0x7F) << 7 * place
        if not data[at + place] & 0x80:
            break
    return value, at + place + 1


class _Bits:
    def __init__(self, data: memoryview) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def next(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._value >> self._left & (1 << count) - 1

    def skip_uvlc(self) -> None:
        zeros = 0
        while not self.next(1):
            zeros += 1
        self.next(zeros if zeros < 32 else 0)


def _frame_size(header: memoryview) -> tuple[int, int]:
    """The largest frame that a sequence header allows."""
    bits = _Bits(header[:1024])
    bits.next(4)  # profile, still picture
    if bits.next(1):
        bits.next(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.next(4) + 1, bits.next(4) + 1
    return bits.next(width_bits) + 1, bits.next(height_bits) + 1


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.next(1):
        bits.next(64)
        if bits.next(1):
            bits.skip_uvlc()
        if bits.next(1):
            delay_bits = bits.next(5) + 1
            bits.next(42)
    has_display_delay = bits.next(1)
    for _ in range(bits.next(5) + 1):
        bits.next(12)
        if bits.next(5) > 7:
            bits.next(1)
        if delay_bits and bits.next(1):
            bits.next(2 * delay_bits + 1)
        if has_display_delay and bits.next(1):
            bits.next(4)
