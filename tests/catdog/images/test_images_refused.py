import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from catdog import images
from catdog.errors import BrokenImage, ImageError, TooManyPixels, UnsupportedImage
from tests.catdog.images.pictures import encode, patched, png, quarters, texture

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

PHOTO = texture(96, 80)
FILES = {
    "JPEG": encode(PHOTO, "JPEG"),
    "JPEG, progressive": encode(PHOTO, "JPEG", progressive=True),
    "JPEG, grey": encode(PHOTO.convert("L"), "JPEG"),
    "JPEG, CMYK": encode(PHOTO.convert("CMYK"), "JPEG"),
    "PNG": encode(PHOTO, "PNG"),
    "PNG, palette": encode(PHOTO.quantize(32), "PNG", transparency=3),
    "PNG, animated": encode(PHOTO, "PNG", save_all=True, append_images=[PHOTO.rotate(9)]),
    "WebP": encode(PHOTO, "WEBP"),
    "WebP, lossless": encode(PHOTO.convert("RGBA"), "WEBP", lossless=True),
    "WebP, animated": encode(PHOTO, "WEBP", save_all=True, append_images=[PHOTO.rotate(9)]),
    "GIF": encode(PHOTO, "GIF", save_all=True, append_images=[PHOTO.rotate(9)]),
    "BMP": encode(PHOTO, "BMP"),
    "BMP, palette": encode(PHOTO.quantize(16), "BMP"),
    "AVIF": encode(PHOTO, "AVIF"),
}
if "HEIC" in images.FORMATS:
    FILES["HEIC"] = encode(PHOTO, "HEIF")
STILL = {name: data for name, data in FILES.items() if "animated" not in name and name != "GIF"}
STILL["GIF"] = encode(PHOTO, "GIF")
END_OF_JPEG = b"\xff\xd9"


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", STILL)
def test_a_file_that_is_cut_short_is_broken(name: str, kept: float) -> None:
    data = STILL[name]
    with pytest.raises(BrokenImage):
        images.decode(data[: int(len(data) * kept)])


@pytest.mark.parametrize("size", [(500, 375), (2000, 1500)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_cut_off_jpeg_that_was_given_an_end_is_no_photo_with_a_grey_half(size: tuple[int, int], mode: str) -> None:
    data = encode(texture(*size).convert(mode), "JPEG")
    with pytest.raises(BrokenImage, match="truncated before its end marker"):
        images.decode(data[: len(data) // 2] + END_OF_JPEG)


def test_a_sound_photo_is_not_called_broken_because_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image: JpegImageFile) -> None:
        raise MemoryError

    monkeypatch.setattr(JpegImageFile, "load", fail)
    with pytest.raises(MemoryError):
        images.decode(FILES["JPEG"])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_a_jpeg_that_is_really_grey_is_taken(options: dict[str, object]) -> None:
    assert (images.decode(encode(Image.new("RGB", (300, 200), (128, 128, 128)), "JPEG", **options)) == 128).all()


def test_a_wrong_checksum_of_png_pixels_is_broken() -> None:
    data = FILES["PNG"]
    end = data.index(b"IEND") - 8
    with pytest.raises(BrokenImage, match="checksum"):
        images.decode(patched(data, end, bytes([data[end] ^ 1])))


BROKEN = {
    "a palette picture without its palette": png(8, 8, 8, 3, bytes(8)),
    "a PNG that ends with its header": FILES["PNG"][:33],
    "a GIF without a picture": FILES["GIF"][:13] + b";",
    "a WebP without a picture": FILES["WebP"][:12] + bytes(30),
    "a JPEG without a picture": b"\xff\xd8\xff\xe0\0\x04AB" + END_OF_JPEG,
    "an AVIF of brands alone": struct.pack(">I", 20) + b"ftypavif" + bytes(4) + b"avif",
    "a BMP of noughts": b"BM" + bytes(60),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_file_with_nothing_sound_behind_its_header_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenImage):
        images.decode(data)


def webp_header(width: int, height: int) -> bytes:
    data = encode(Image.new("RGB", (8, 8)), "WEBP", lossless=True)
    return patched(data, 21, struct.pack("<I", (width - 1) | (height - 1) << 14))


def jpeg_header(width: int, height: int) -> bytes:
    data = encode(Image.new("RGB", (8, 8)), "JPEG")
    return patched(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def gif_frame(side: int) -> bytes:
    """A GIF whose first frame differs in size from its screen, and is cleared before the second frame."""
    data = encode(PHOTO, "GIF", save_all=True, append_images=[PHOTO.rotate(9)], duration=100, disposal=2)
    frame = data.index(b"!\xf9\x04") + 8
    return patched(data, frame + 5, struct.pack("<HH", side, side))


LARGE = {
    "PNG, one row too many": (png(5000, 5001, 8, 0, bytes(5000)), 5000, 5001),
    "PNG, one column too many": (png(16_385, 1, 8, 0, bytes(16_385)), 16_385, 1),
    "PNG, as large as can be": (png(2**31 - 1, 2**31 - 1, 8, 0, b""), 2**31 - 1, 2**31 - 1),
    "JPEG": (jpeg_header(60_000, 60_000), 60_000, 60_000),
    "GIF": (patched(FILES["GIF"], 6, struct.pack("<HH", 60_000, 60_000)), 60_000, 60_000),
    "GIF, and its frame": (patched(gif_frame(60_000), 6, struct.pack("<HH", 60_000, 60_000)), 60_000, 60_000),
    "BMP": (patched(FILES["BMP"], 18, struct.pack("<II", 60_000, 60_000)), 60_000, 60_000),
    "WebP": (webp_header(16_000, 16_000), 16_000, 16_000),
}


@pytest.mark.parametrize(("data", "width", "height"), LARGE.values(), ids=LARGE)
def test_too_many_pixels_are_refused_by_the_header_alone(data: bytes, width: int, height: int) -> None:
    with pytest.raises(TooManyPixels) as refused:
        images.decode(data)
    error = refused.value
    assert (error.width, error.height) == (width, height)
    assert (error.limit_pixels, error.limit_side_pixels) == (25_000_000, 16_384)


@pytest.mark.parametrize(("side", "error"), [(60_000, BrokenImage), (14_000, ImageError), (5001, TooManyPixels)])
def test_a_gif_frame_far_outside_its_screen_is_refused(side: int, error: type[ImageError]) -> None:
    """Pillow enlarges the screen for it, and prepares to clear its pixels, before the size is available."""
    with pytest.raises(error):
        images.decode(gif_frame(side))


@pytest.mark.parametrize("size", [(5000, 5000), (16_384, 1)])
def test_a_photo_at_the_limit_is_taken(size: tuple[int, int]) -> None:
    assert images.decode(encode(Image.new("L", size, 90), "JPEG"))[0, 0, 0] == 90


def run_length_bmp(width: int, height: int) -> bytes:
    """Every row is one pixel, then an early end of the row: the most expensive file."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    rows = b"\1\1\0\0" * height + b"\0\1"
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + header + bytes(1024) + rows


def test_a_run_length_bmp_has_a_lower_limit() -> None:
    assert images.decode(run_length_bmp(200, 100)).shape == (224, 224, 3)
    with pytest.raises(TooManyPixels) as refused:
        images.decode(run_length_bmp(2000, 1001))
    assert refused.value.limit_pixels == images.LIMIT_RUN_LENGTH_PIXELS


def test_a_jpeg_of_endless_scans_is_broken() -> None:
    data = FILES["JPEG, progressive"]
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    assert images.decode(data[:-2] + last_scan * 20 + END_OF_JPEG).shape == (224, 224, 3)
    with pytest.raises(BrokenImage, match="scans"):
        images.decode(data[:-2] + last_scan * 60 + END_OF_JPEG)


UNSUPPORTED = {
    "nothing": (b"", None),
    "text": (b"BMW is a maker of cars, and this is no picture of one", None),
    "TIFF": (encode(quarters(), "TIFF"), "TIFF"),
    "ICO": (encode(quarters(), "ICO"), "ICO"),
    "JPEG 2000": (encode(quarters(), "JPEG2000"), "JPEG 2000"),
    "PPM": (encode(quarters(), "PPM"), None),
    "PDF": (encode(quarters(), "PDF"), "PDF"),
    "a film": (struct.pack(">I", 24) + b"ftypisom" + bytes(4) + b"isommp42" + bytes(100), None),
}


@pytest.mark.parametrize(("data", "format"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_is_no_photo_that_is_taken_is_named_beside_those_that_are(data: bytes, format: str | None) -> None:
    with pytest.raises(UnsupportedImage) as refused:
        images.decode(data)
    assert (refused.value.format, refused.value.accepted) == (format, images.FORMATS)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), file=st.sampled_from(list(FILES.values())))
def test_a_damaged_file_gives_pixels_or_an_image_error_and_nothing_else(data: st.DataObject, file: bytes) -> None:
    bytes_ = bytearray(file[: data.draw(st.integers(0, len(file)) | st.just(len(file)))])
    places = st.integers(0, 63) | st.integers(0, len(file) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        if place < len(bytes_):
            bytes_[place] = value
    try:
        pixels = images.decode(bytes(bytes_), 16)
    except ImageError:
        return
    assert pixels.shape == (16, 16, 3)
