"""Unusual files with complete pixels are accepted; files that would cost more than their pixels are refused."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from catdog import images
from catdog.errors import BrokenImage
from catdog.image_formats import chunks, jpeg
from tests.catdog.images.pictures import QUARTERS, encode, middles, patched, png, quarters, texture

PHOTO = texture(200, 160)
END = b"\xff\xd9"
JPEGS = {
    "sequential": encode(PHOTO, "JPEG"),
    "progressive": encode(PHOTO, "JPEG", progressive=True),
    "grey": encode(PHOTO.convert("L"), "JPEG"),
    "CMYK": encode(PHOTO.convert("CMYK"), "JPEG"),
    "large": encode(texture(1500, 1400), "JPEG"),
    "one colour": encode(Image.new("RGB", (300, 200), (200, 30, 90)), "JPEG"),
    "one colour, progressive": encode(Image.new("RGB", (300, 200), (200, 30, 90)), "JPEG", progressive=True),
    "of 64 pixels": encode(quarters(8, 8), "JPEG"),
    "mid-grey": encode(Image.new("RGB", (300, 200), (128, 128, 128)), "JPEG"),
}


def same_pixels(data: bytes, other: bytes) -> bool:
    return bool((images.decode(data) == images.decode(other)).all())


def spoilt(data: bytes, name: bytes) -> bytes:
    """The PNG with one wrong bit in this chunk's checksum."""
    at = data.index(name)
    end = at + 4 + struct.unpack_from(">I", data, at - 4)[0]
    return patched(data, end, bytes([data[end] ^ 1]))


def noted_png() -> bytes:
    """A palette picture with a chunk of many kinds."""
    notes = PngInfo()
    notes.add_text("Software", "a program")
    notes.add_itxt("Title", "a cat", zip=True)
    notes.add(b"tIME", bytes([7, 234, 1, 1, 1, 1, 1]))
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = PHOTO.quantize(32)
    return encode(
        palette, "PNG", pnginfo=notes, dpi=(72, 72), icc_profile=b"profile", exif=exif.tobytes(), transparency=3
    )


@pytest.mark.parametrize("name", [b"tEXt", b"iTXt", b"tIME", b"pHYs", b"iCCP"])
def test_a_wrong_checksum_of_what_no_pixel_needs_changes_nothing(name: bytes) -> None:
    data = noted_png()
    assert same_pixels(spoilt(data, name), data)


def test_an_orientation_with_a_wrong_checksum_does_not_count() -> None:
    data = noted_png()
    unturned = images.decode(spoilt(data, b"eXIf"))
    assert (np.rot90(unturned, -1) == images.decode(data)).all()
    assert (unturned != images.decode(data)).any()


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE", b"tRNS", b"IDAT"])
def test_a_wrong_checksum_of_what_the_pixels_need_is_broken(name: bytes) -> None:
    with pytest.raises(BrokenImage, match=f"checksum in the chunk {name.decode()}"):
        images.decode(spoilt(noted_png(), name))


@pytest.mark.parametrize("cut", [4, 8, 12, 16])  # into the end chunk, all of it, and the last checksum of the pixels
def test_a_png_without_its_end_is_taken(cut: int) -> None:
    data = encode(PHOTO, "PNG")
    assert same_pixels(data[:-cut], data)


@pytest.mark.parametrize("cut", [18, 24, 100])
def test_a_png_without_its_last_pixels_is_broken(cut: int) -> None:
    with pytest.raises(BrokenImage):
        images.decode(encode(PHOTO, "PNG")[:-cut])


@pytest.mark.parametrize("tail", [b"", b"\xff", bytes(1000), b"\xff" * 1000, b"what a camera adds" * 100])
@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_that_lacks_nothing_but_its_end_marker_is_taken(name: str, tail: bytes) -> None:
    data = JPEGS[name]
    assert same_pixels(data.removesuffix(END) + tail, data)


@pytest.mark.parametrize("tail", [b"", bytes(100_000), b"\xff" * 1000])
@pytest.mark.parametrize("kept", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("name", ["sequential", "progressive", "grey", "CMYK", "large"])
def test_a_jpeg_that_lacks_pixels_as_well_is_broken(name: str, kept: float, tail: bytes) -> None:
    data = JPEGS[name]
    with pytest.raises(BrokenImage):
        images.decode(data[: int(len(data) * kept)] + tail)


def test_a_progressive_jpeg_that_lacks_whole_scans_and_its_end_is_broken() -> None:
    data = JPEGS["progressive"]
    with pytest.raises(BrokenImage, match="scans are missing"):
        images.decode(data[: data.rindex(b"\xff\xda")])


@pytest.mark.parametrize("size", [0, 4, 2**31])
def test_a_webp_that_has_its_size_wrong_is_taken(size: int) -> None:
    data = encode(PHOTO, "WEBP")
    assert same_pixels(patched(data, 4, struct.pack("<I", size)), data)


def test_a_gif_without_its_trailer_is_taken() -> None:
    data = encode(PHOTO, "GIF")
    assert same_pixels(data.removesuffix(b";"), data)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"])
def test_bytes_behind_the_picture_change_nothing(format: str) -> None:
    data = encode(PHOTO, format)
    for tail in (b"\0" * 5000, b"a film that moves" * 500, data):
        assert same_pixels(data + tail, data)


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_a_damaged_later_frame_is_no_fault_of_the_first(format: str) -> None:
    later = [PHOTO.rotate(9), PHOTO.rotate(18)]
    data = encode(PHOTO, format, save_all=True, append_images=later, duration=100)
    assert same_pixels(data[: -len(data) // 4], data)


def turned(format: str, **options: object) -> np.ndarray:
    on_its_side = quarters().transpose(Image.Transpose.ROTATE_90)
    return middles(images.decode(encode(on_its_side, format, **options)))


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_an_orientation_in_xmp_counts_where_exif_has_none(format: str) -> None:
    assert np.abs(turned(format, xmp=XMP) - QUARTERS).max() <= 12


@pytest.mark.parametrize("zip", [False, True])
def test_an_orientation_in_a_text_of_a_png_counts(zip: bool) -> None:
    xmp, magick = PngInfo(), PngInfo()
    xmp.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=zip)
    exif = Image.Exif()
    exif[0x0112] = 6
    magick.add_text("Raw profile type exif", f"\nexif\n  {len(exif.tobytes())}\n{exif.tobytes().hex()}", zip=zip)
    for notes in (xmp, magick):
        assert (turned("PNG", pnginfo=notes) == QUARTERS).all()


def segment(marker: int, content: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def jpeg_with(each: bytes, times: int) -> bytes:
    return JPEGS["sequential"][:2] + each * times + JPEGS["sequential"][2:]


def png_with(each: bytes, times: int) -> bytes:
    data = encode(PHOTO, "PNG")
    return data[:33] + each * times + data[33:]


def gif_with(extension: bytes) -> bytes:
    data = encode(PHOTO, "GIF")
    return data[: data.index(b",", 13 + 768)] + extension + data[data.index(b",", 13 + 768) :]


def webp_with(each: bytes, times: int) -> bytes:
    data = encode(PHOTO, "WEBP")
    return data + each * times


TEXT_BOMB = chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(2**26)))
TOO_MANY: dict[str, tuple[Callable[[], bytes], str]] = {
    "Exif segments": (lambda: jpeg_with(segment(0xE1, b"Exif\0\0"), 1000), "more than 1,000 segments"),
    "empty APP segments": (lambda: jpeg_with(segment(0xE7), 100_000), "more than 1,000 segments"),
    "comments": (lambda: jpeg_with(segment(0xFE, b"c"), 100_000), "more than 1,000 segments"),
    "Huffman tables": (lambda: jpeg_with(segment(0xC4), 100_000), "more than 1,000 segments"),
    "components": (lambda: jpeg_with(segment(0xC0, bytes(65_000)), 2), "length of its frame header is wrong"),
    "quantization tables": (lambda: jpeg_with(segment(0xDB, bytes(65_000)), 2), "bytes of quantization tables"),
    "fill bytes": (lambda: jpeg_with(b"\xff", 10 * 2**20), "more than 65,536 bytes between its segments"),
    "PNG chunks": (lambda: png_with(chunk(b"teSt"), 20_000), "more than 20,000 chunks"),
    "PNG chunks of no pixels": (lambda: png_with(chunk(b"IDAT"), 20_000), "more than 20,000 chunks"),
    "WebP chunks": (lambda: webp_with(b"ABCD" + bytes(4), 20_000), "more than 20,000 chunks"),
    "GIF blocks": (lambda: gif_with(b"!\xfe" + b"\1a" * 20_000 + b"\0"), "more than 20,000 blocks"),
    "GIF extensions": (lambda: gif_with(b"!\xfe\0" * 20_001), "more than 20,000 blocks"),
    "bytes between a GIF's blocks": (lambda: gif_with(b"x" * 20_001), "more than 20,000 blocks"),
}


@pytest.mark.parametrize(("make", "limit"), TOO_MANY.values(), ids=TOO_MANY)
def test_more_parts_than_any_photo_has_are_refused_by_their_number(make: Callable[[], bytes], limit: str) -> None:
    with pytest.raises(BrokenImage, match=limit):
        images.decode(make())


NEVER_READ: dict[str, Callable[[], bytes]] = {
    "as many Exif segments as a phone writes": lambda: jpeg_with(segment(0xE1, b"Exif\0\0" + bytes(65_000)), 160),
    "extended XMP": lambda: jpeg_with(segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(65_000)), 160),
    "Photoshop's resources": lambda: jpeg_with(segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4" + bytes(60_000)), 160),
    "parts of a colour profile": lambda: jpeg_with(segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(60_000)), 160),
    "fill bytes": lambda: jpeg_with(b"\xff", 60_000),
    "restart markers": lambda: jpeg_with(b"\xff\xd0", 30_000),
    "colour profiles of a PNG": lambda: png_with(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**20))), 9000),
    "texts of a PNG": lambda: png_with(TEXT_BOMB, 100),
    "frames of a PNG": lambda: png_with(chunk(b"fcTL", bytes(26)), 10_000),
}


@pytest.mark.parametrize("make", NEVER_READ.values(), ids=NEVER_READ)
def test_what_no_pixel_needs_never_reaches_the_decoder(make: Callable[[], bytes]) -> None:
    data = make()
    if data[:2] == b"\xff\xd8":
        plain, cleaned = JPEGS["sequential"], jpeg.read(data).file
    else:
        plain, cleaned = encode(PHOTO, "PNG"), chunks.read_png(data)[0]
    assert len(cleaned) <= len(plain)
    assert same_pixels(data, plain)


def test_a_text_that_says_how_a_png_is_turned_is_unpacked_to_a_mebibyte_at_most() -> None:
    bomb = b"Raw profile type exif\0\0" + zlib.compress(b"\n\n\n" + b"00" * 2**25)
    data = png(8, 8, 8, 0, bytes(8), (b"zTXt", bomb))
    _, metadata = chunks.read_png(data)
    assert len(metadata.exif) < chunks.LIMIT_TEXT_BYTES
    assert images.decode(data).shape == (224, 224, 3)


def test_later_frames_never_reach_the_decoder() -> None:
    later = [PHOTO.rotate(angle) for angle in range(1, 20)]
    data = encode(PHOTO, "WEBP", save_all=True, append_images=later, duration=100)
    cleaned, _ = chunks.read_webp(data)
    assert cleaned.count(b"ANMF") == 1


def test_the_pixels_of_a_png_may_come_in_many_parts() -> None:
    data = encode(PHOTO, "PNG")
    start = data.index(b"IDAT")
    length = struct.unpack_from(">I", data, start - 4)[0]
    pixels = data[start + 4 : start + 4 + length]
    parts = b"".join(chunk(b"IDAT", pixels[at : at + 9]) for at in range(0, length, 9))
    assert same_pixels(data[: start - 4] + parts + data[start + 8 + length :], data)


def test_a_run_length_bmp_is_read_no_further_than_its_pixels_may_reach() -> None:
    header = struct.pack("<IiiHHIIiiII", 40, 100, 100, 1, 8, 1, 0, 0, 0, 256, 0)
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + header + bytes(1024)
    runs_beyond_the_row = b"\xff\1" * 1_000_000
    with pytest.raises(BrokenImage):
        images.decode(data + runs_beyond_the_row + b"\0\0" + (b"\x64\1\0\0" * 99) + b"\0\1")
