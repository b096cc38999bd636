"""Parses the structure of PNG, WebP and GIF files before Pillow does, in linear time.

Pillow then gets only the first picture and what its pixels need. Otherwise it would handle every chunk in Python, and
unpack texts and colour profiles that are never used. Follows W3C's PNG specification (third edition), RFC 9649 (WebP)
and the GIF89a specification.
"""

import struct
import zlib
from collections.abc import Iterator

from catdog.image_formats.orientation import Metadata

LIMIT_CHUNKS = 20_000  # of a PNG or WebP; enough for 10 MiB in chunks of 512 bytes
LIMIT_BLOCKS = 20_000  # of a GIF's extensions before its picture, of up to 255 bytes each
LIMIT_TEXT_BYTES = 2**20  # unpacked size of the text that may have a PNG's orientation

PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT"))  # these must be undamaged
_XMP_KEY, _EXIF_KEY = b"XML:com.adobe.xmp\0", b"Raw profile type exif\0"
_ALPHA, _ANIMATED = 0x10, 0x02  # flags of a WebP


class Truncated(OSError):
    """The file ends within data that the pixels need."""

    def __init__(self) -> None:
        super().__init__("image file is truncated")


def read_png(data: bytes) -> tuple[bytes, Metadata]:
    """The first picture as a separate PNG, and the metadata with its orientation; OSError if pixels are damaged.

    Damage elsewhere is ignored, as in browsers.
    """
    kept: list[bytes | memoryview] = [PNG_START]
    pixels: list[memoryview] = []
    notes: dict[bytes, memoryview] = {}  # the last of each kind
    previous = b""
    for name, content, is_sound in _png_chunks(data):
        if name in _PNG_PIXELS and not is_sound:
            raise OSError(f"wrong checksum in the chunk {name.decode()}")
        if name == b"IDAT" and (not pixels or previous == b"IDAT"):
            pixels.append(content)
        elif name in (b"IHDR", b"PLTE", b"tRNS"):
            if (name == b"IHDR") != (len(kept) == 1):
                raise OSError("its header is not its first chunk")
            kept.append(_png_chunk(name, content))
        elif is_sound and (note := _note(name, content)):
            notes[note] = content
        previous = name
    if not pixels:
        raise OSError("no pixels follow its header")
    kept += [struct.pack(">I", sum(map(len, pixels))), b"IDAT", *pixels, b"\0\0\0\0", _png_chunk(b"IEND", b"")]
    return b"".join(kept), Metadata(_png_exif(notes), _png_xmp(notes))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, bool]]:
    """Name, content, and whether the checksum is right (or cut off); up to IEND, or to damage after the pixels."""
    view, at, has_pixels = memoryview(data), len(PNG_START), False
    for _ in range(LIMIT_CHUNKS):
        if at + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if not name.isalpha() or (end > len(data) and name != b"IDAT"):
            if has_pixels:
                return
            raise OSError(f"broken chunk {name!r}")
        if end > len(data):
            raise Truncated
        checksum = data[end : end + 4]
        is_sound = len(checksum) < 4 or zlib.crc32(view[at + 4 : end]) == int.from_bytes(checksum)
        if name == b"IEND":
            return
        yield name, view[at + 8 : end], is_sound
        has_pixels |= name == b"IDAT"
        at = end + 4
    raise OSError(f"more than {LIMIT_CHUNKS:,} chunks")


def _png_chunk(name: bytes, content: bytes | memoryview) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return b"".join((struct.pack(">I", len(content)), name, content, struct.pack(">I", checksum)))


def _note(name: bytes, content: memoryview) -> bytes:
    """Which of the chunks that may have the orientation this is; other texts are ignored."""
    if name == b"eXIf":
        return name
    for of, key in ((b"iTXt", _XMP_KEY), (b"tEXt", _EXIF_KEY), (b"zTXt", _EXIF_KEY)):
        if name == of and content[: len(key)] == key:
            return name
    return b""


def _png_exif(notes: dict[bytes, memoryview]) -> bytes:
    if b"eXIf" in notes:
        return b"Exif\0\0" + bytes(notes[b"eXIf"])
    if b"zTXt" in notes:
        text = _unpacked(bytes(notes[b"zTXt"][len(_EXIF_KEY) + 1 :]))
    else:
        text = bytes(notes.get(b"tEXt", b"")[len(_EXIF_KEY) :])
    try:  # ImageMagick writes it in hexadecimal, after three lines
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""


def _png_xmp(notes: dict[bytes, memoryview]) -> bytes:
    content = bytes(notes.get(b"iTXt", b""))[len(_XMP_KEY) :]
    text = content[2:].split(b"\0", 2)[-1]  # after a language and a translated keyword
    return _unpacked(text) if content[:1] == b"\1" else text


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, LIMIT_TEXT_BYTES)
    except zlib.error:
        return b""


def read_webp(data: bytes) -> tuple[bytes, Metadata]:
    """The first picture as a separate WebP, ignoring the declared file size; OSError if it is truncated."""
    kept: list[bytes] = []
    exif, xmp, has_picture = b"", b"", False
    for name, content in _webp_chunks(data):
        if name == b"VP8X" and not kept and len(content) >= 10:
            kept.append(_webp_chunk(name, bytes((content[0] & (_ALPHA | _ANIMATED),)) + bytes(content[1:])))
        elif name in (b"VP8 ", b"VP8L", b"ANMF", b"ALPH", b"ANIM") and not has_picture:
            kept.append(_webp_chunk(name, content))
            has_picture = name in (b"VP8 ", b"VP8L", b"ANMF")
        elif name == b"EXIF":
            exif = exif or bytes(content)
        elif name == b"XMP ":
            xmp = xmp or bytes(content)
    if not has_picture:
        raise Truncated
    body = b"".join(kept)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body, Metadata(exif, xmp)


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of the canvas, else of the first picture; OSError if there is none."""
    for name, content in _webp_chunks(data):
        if name == b"VP8X" and len(content) >= 10:
            width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (4, 7))
            return width, height
        if name == b"VP8L" and len(content) >= 5:
            bits = int.from_bytes(content[1:5], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if name == b"VP8 " and len(content) >= 10:
            width, height = struct.unpack_from("<HH", content, 6)
            return width & 0x3FFF, height & 0x3FFF
    raise Truncated


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The complete chunks."""
    view, at = memoryview(data), 12
    for _ in range(LIMIT_CHUNKS):
        if at + 8 > len(data):
            return
        name, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data):
            return
        yield name, view[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    raise OSError(f"more than {LIMIT_CHUNKS:,} chunks")


def _webp_chunk(name: bytes, content: bytes | memoryview) -> bytes:
    return b"".join((name, struct.pack("<I", len(content)), content, b"\0" * (len(content) % 2)))


def read_gif(data: bytes) -> bytes:
    """The first picture as a separate GIF; OSError if its header is broken."""
    start, controls, at = _gif_picture(data)
    return b"".join((data[:start], *controls, memoryview(data)[at:]))


def gif_size(data: bytes) -> tuple[int, int]:
    """Width and height of the screen, or of its first picture's extent if larger; OSError if the header is broken."""
    *_, at = _gif_picture(data)
    left, top, width, height = struct.unpack_from("<HHHH", data.ljust(at + 9, b"\0"), at + 1)
    screen = struct.unpack_from("<HH", data, 6)
    return max(screen[0], left + width), max(screen[1], top + height)


def _gif_picture(data: bytes) -> tuple[int, list[bytes], int]:
    """The end of the palette, the control blocks of the first picture, and the picture's start."""
    start = at = 13 + _palette_bytes(data[10:11])
    controls: list[bytes] = []
    blocks = 0
    while data[at : at + 1] != b",":
        if data[at : at + 1] in (b";", b""):
            raise OSError("it has no picture")
        if data[at : at + 1] == b"!":
            begins, at = at, at + 2
            at, blocks = _after_blocks(data, at, blocks)
            if data[begins + 1 : begins + 2] == b"\xf9":
                controls.append(data[begins:at])
        else:
            at += 1
            blocks += 1
        if blocks > LIMIT_BLOCKS:
            raise OSError(f"more than {LIMIT_BLOCKS:,} blocks before its picture")
    return start, controls, at


def _after_blocks(data: bytes, at: int, blocks: int) -> tuple[int, int]:
    """The end of a chain of blocks, and the number of blocks so far."""
    while at < len(data) and data[at] and blocks <= LIMIT_BLOCKS:
        at += 1 + data[at]
        blocks += 1
    return at + 1, blocks + 1


def _palette_bytes(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0
