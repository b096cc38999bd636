import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from catdog import images
from tests.catdog.images.pictures import (
    BLUE,
    GREEN,
    QUARTERS,
    RED,
    WHITE,
    encode,
    middles,
    patched,
    png,
    quarters,
    texture,
)

LOSSY = 12  # how far a lossy codec may move a plain colour
PILLOW_NAMES = {"WebP": "WEBP", "HEIC": "HEIF"}


def colour(data: bytes) -> list[int]:
    """The one colour of a plain picture."""
    pixels = images.decode(data, 8)
    assert np.ptp(pixels, axis=(0, 1)).max() == 0
    return [int(channel) for channel in pixels[0, 0]]


@pytest.mark.parametrize("format", images.FORMATS)
def test_every_format_is_found_by_its_bytes_and_decoded(format: str) -> None:
    data = encode(quarters(), PILLOW_NAMES.get(format, format))
    assert images.identify(data) == format
    assert np.abs(middles(images.decode(data)) - QUARTERS).max() <= LOSSY * (format != "GIF")


def test_the_pixels_are_what_the_network_takes() -> None:
    pixels = images.decode(encode(quarters(500, 375), "JPEG"))
    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


@pytest.mark.parametrize("size", [(400, 40), (40, 400), (3, 1), (224, 224)])
def test_the_whole_photo_is_squashed_whatever_its_shape(size: tuple[int, int]) -> None:
    pixels = images.decode(encode(quarters(*size), "BMP"), 64)
    assert pixels.shape == (64, 64, 3)
    if size[1] > 1:
        assert np.abs(pixels[[0, 0, -1, -1], [0, -1, 0, -1]] - QUARTERS.reshape(4, 3)).max() <= 1


def test_stripes_finer_than_a_pixel_become_their_mean() -> None:
    stripes = np.zeros((640, 640), np.uint8)
    stripes[:, ::2] = 255
    pixels = images.decode(encode(Image.fromarray(stripes), "PNG"), 64)
    assert np.abs(pixels[4:-4, 4:-4].astype(int) - 127).max() <= 2


@pytest.mark.parametrize(("size", "reduced"), [((1999, 1501), True), ((1501, 3001), True), ((500, 375), False)])
def test_a_large_jpeg_is_decoded_at_a_reduced_size_to_nearly_the_same_pixels(
    size: tuple[int, int], reduced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(texture(*size), "JPEG", quality=92)
    pixels = images.decode(data).astype(int)
    fully_decoded = encode(Image.open(BytesIO(data)), "BMP")
    assert (pixels != images.decode(fully_decoded)).any() == reduced
    monkeypatch.setattr(images, "REDUCED_RATIO", 10_000)  # so that nothing is
    difference = np.abs(pixels - images.decode(fully_decoded))
    assert difference.mean() < 0.4
    assert difference.max() <= 3


def test_a_large_photo_is_reduced_before_the_filter_to_nearly_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(texture(1999, 1501), "BMP")
    pixels = images.decode(data).astype(int)
    monkeypatch.setattr(images, "REDUCED_RATIO", 10_000)  # so that it isn't
    difference = np.abs(pixels - images.decode(data))
    assert 0 < difference.mean() < 0.4
    assert difference.max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation: int) -> None:
    stored = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how such a camera held the picture, as Image.Transpose
    picture = quarters()
    if orientation in stored:
        picture = picture.transpose(Image.Transpose(stored[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.abs(middles(images.decode(encode(picture, "JPEG", exif=exif))) - QUARTERS).max() <= LOSSY


@pytest.mark.parametrize("format", [name for name in images.FORMATS if name not in ("JPEG", "GIF", "BMP")])
def test_orientation_counts_in_every_format_that_has_it(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    on_its_side = quarters().transpose(Image.Transpose.ROTATE_90)
    data = encode(on_its_side, PILLOW_NAMES.get(format, format), exif=exif.tobytes())
    assert np.abs(middles(images.decode(data)) - QUARTERS).max() <= LOSSY


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(
    "exif", [b"", b"junk", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03"]
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_broken_exif_block_does_not_fail_the_photo(format: str, exif: bytes) -> None:
    data = encode(quarters(), format, exif=b"Exif\0\0" + exif)
    assert np.abs(middles(images.decode(data)) - QUARTERS).max() <= LOSSY


@pytest.mark.parametrize("format", [name for name in images.FORMATS if name in ("AVIF", "HEIC")])
def test_a_broken_exif_block_does_not_fail_a_photo_turned_by_its_container(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a maker of cameras"
    on_its_side = quarters().transpose(Image.Transpose.ROTATE_90)
    data = encode(on_its_side, PILLOW_NAMES.get(format, format), exif=exif.tobytes())
    broken = data.replace(b"MM\0*", b"XXXX")
    assert broken != data
    assert np.abs(middles(images.decode(broken)) - QUARTERS).max() <= LOSSY


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "AVIF"])
def test_an_animation_counts_by_its_first_frame(format: str) -> None:
    later = [Image.new("RGB", (64, 48), BLUE), Image.new("RGB", (64, 48), RED)]
    data = encode(quarters(), format, save_all=True, append_images=later, duration=100)
    assert np.abs(middles(images.decode(data)) - QUARTERS).max() <= LOSSY


def palette_image(*entries: tuple[int, int, int]) -> Image.Image:
    """A picture all of palette entry 0."""
    image = Image.new("P", (8, 8), 0)
    image.putpalette([channel for entry in entries for channel in entry])
    return image


TRANSPARENT = {
    "RGBA": (encode(Image.new("RGBA", (8, 8), (*RED, 0)), "PNG"), WHITE),
    "RGBA, half": (encode(Image.new("RGBA", (8, 8), (0, 0, 0, 128)), "PNG"), (127, 127, 127)),
    "RGBA, opaque": (encode(Image.new("RGBA", (8, 8), (*RED, 255)), "PNG"), RED),
    "RGBA in WebP": (encode(Image.new("RGBA", (8, 8), (0, 0, 0, 51)), "WEBP", lossless=True), (204, 204, 204)),
    "LA": (encode(Image.new("LA", (8, 8), (0, 51)), "PNG"), (204, 204, 204)),
    "LA, 16 bits": (png(8, 8, 16, 4, b"\0\0\x33\x33" * 8), (204, 204, 204)),
    "RGBA, 16 bits": (png(8, 8, 16, 6, b"\xff\xff\0\0\0\0\x33\x33" * 8), (255, 204, 204)),
    "palette, one entry": (encode(palette_image(RED, GREEN), "PNG", transparency=0), WHITE),
    "palette, another entry": (encode(palette_image(RED, GREEN), "PNG", transparency=1), RED),
    "palette, alpha each": (encode(palette_image(RED, GREEN), "PNG", transparency=b"\x33\xff"), (255, 204, 204)),
    "palette in GIF": (encode(palette_image(RED, GREEN), "GIF", transparency=0), WHITE),
    "RGB": (encode(Image.new("RGB", (8, 8), RED), "PNG", transparency=RED), WHITE),
    "RGB, another colour": (encode(Image.new("RGB", (8, 8), RED), "PNG", transparency=BLUE), RED),
    "RGB, 16 bits": (
        png(8, 8, 16, 2, b"\x12\x34\x56\x78\x9a\xbc" * 8, (b"tRNS", b"\x12\x34\x56\x78\x9a\xbc")),
        WHITE,
    ),
    "grey": (png(8, 8, 8, 0, b"\x40" * 8, (b"tRNS", b"\0\x40")), WHITE),
    "grey, 1 bit": (png(8, 8, 1, 0, b"\0", (b"tRNS", b"\0\0")), WHITE),
    "grey, 2 bits": (png(8, 8, 2, 0, b"\x55\x55", (b"tRNS", b"\0\1")), WHITE),
    "grey, 4 bits": (png(8, 8, 4, 0, b"\x77" * 4, (b"tRNS", b"\0\7")), WHITE),
    "grey, 4 bits, another": (png(8, 8, 4, 0, b"\x77" * 4, (b"tRNS", b"\0\x08")), (0x77, 0x77, 0x77)),
    "grey, 16 bits": (png(8, 8, 16, 0, b"\x12\x34" * 8, (b"tRNS", b"\x12\x34")), WHITE),
    "grey, 16 bits, close": (png(8, 8, 16, 0, b"\x12\x34" * 8, (b"tRNS", b"\x12\x35")), (0x12, 0x12, 0x12)),
}


@pytest.mark.parametrize(("data", "expected"), TRANSPARENT.values(), ids=TRANSPARENT)
def test_what_is_transparent_lies_over_white(data: bytes, expected: tuple[int, int, int]) -> None:
    assert colour(data) == list(expected)


def test_a_colour_hidden_by_transparency_does_not_bleed_when_resized() -> None:
    image = Image.new("RGBA", (64, 64), (*RED, 0))
    image.paste((*BLUE, 255), (0, 0, 32, 64))
    red, _, blue = images.decode(encode(image, "PNG"), 5)[2].T
    assert (red <= blue).all()
    assert (red[0], red[-1]) == (0, 255)


DEPTHS = {
    "1 bit": (encode(Image.new("1", (8, 8), 1), "PNG"), WHITE),
    "1 bit in BMP": (encode(Image.new("1", (8, 8), 1), "BMP"), WHITE),
    "grey": (encode(Image.new("L", (8, 8), 90), "PNG"), (90, 90, 90)),
    "grey in JPEG": (encode(Image.new("L", (8, 8), 90), "JPEG"), (90, 90, 90)),
    "2-bit grey": (png(8, 8, 2, 0, b"\xaa\xaa"), (170, 170, 170)),
    "palette": (encode(palette_image(RED, GREEN), "PNG"), RED),
    "palette in BMP": (encode(palette_image(RED, GREEN), "BMP"), RED),
    "16-bit grey": (encode(Image.fromarray(np.full((8, 8), 0x8000, np.uint16)), "PNG"), (128, 128, 128)),
    "16-bit grey, dark": (encode(Image.fromarray(np.full((8, 8), 0x01FF, np.uint16)), "PNG"), (1, 1, 1)),
    "16-bit grey, white": (encode(Image.fromarray(np.full((8, 8), 0xFFFF, np.uint16)), "PNG"), WHITE),
    "16-bit colour": (png(8, 8, 16, 2, b"\xff\xff\x80\x00\x01\xff" * 8), (255, 128, 1)),
    "CMYK": (encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100), RED),
    "CMYK, black": (encode(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG", quality=100), (0, 0, 0)),
    "CMYK, mixed": (encode(Image.new("CMYK", (8, 8), (0, 51, 102, 51)), "JPEG", quality=100), (204, 163, 122)),
}


@pytest.mark.parametrize(("data", "expected"), DEPTHS.values(), ids=DEPTHS)
def test_every_depth_and_colour_model_comes_out_right(data: bytes, expected: tuple[int, int, int]) -> None:
    assert np.abs(np.subtract(colour(data), expected)).max() <= 1


def test_a_jpeg_in_ycck_comes_out_right() -> None:
    stored = (255 - 100, 255 - 128, 255 - 160, 0)  # Adobe's YCCK, inverted: Y 100, Cb 128, Cr 160, no black
    cmyk = encode(Image.new("CMYK", (8, 8), stored), "JPEG", quality=100)
    adobe = cmyk.index(b"Adobe")
    ycck = patched(cmyk, adobe + 11, b"\2")
    # CMY is the complement of what Y, Cb and Cr say (ITU-R T.871), and inverted once more.
    expected = [255 - (100 + 1.402 * 32), 255 - (100 - 0.714136 * 32), 255 - 100]
    assert np.abs(np.subtract(colour(ycck), expected)).max() <= 2


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_colour_profile_changes_nothing(format: str) -> None:
    plain = images.decode(encode(quarters(), format))
    assert (images.decode(encode(quarters(), format, icc_profile=b"no profile at all")) == plain).all()


def test_many_threads_decode_as_one_does() -> None:
    files = [encode(texture(300, 200, seed), kind) for seed in range(4) for kind in ("JPEG", "PNG", "WEBP")]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(images.decode, files * 3))
    for file, pixels in zip(files * 3, together, strict=True):
        assert (pixels == images.decode(file)).all()


def test_the_fingerprint_changes_only_on_purpose() -> None:
    """Every version stores it, and a version with a different one refuses to load."""
    assert images.FINGERPRINT == "7351ed95869231b59cce93b54abd4ee05ec1bf1ab34b96c28ed351f8fc00c64a"


def test_heic_is_named_as_not_taken_where_its_library_is_missing() -> None:
    program = """
import struct, sys
sys.modules["pillow_heif"] = None
from catdog import errors, images
try:
    images.decode(struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(100))
except errors.UnsupportedImage as error:
    print(error.format, *error.accepted)
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert answer.stdout.split() == ["HEIC", "JPEG", "PNG", "WebP", "GIF", "BMP", "AVIF"]
