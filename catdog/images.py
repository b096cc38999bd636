"""Decodes a photo to the pixels that the network sees: the only preprocessing.

Pillow decodes, and `catdog.image_formats.resize` resizes. This module adds: detection of the format from the bytes, so
that only its reader runs; limits; checks for broken photos; and correct depth, alpha and orientation. Colour profiles
are ignored. Everything here is safe to call from several threads.
"""

import hashlib
import json
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import Transpose
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from catdog.errors import BrokenImage, TooManyPixels, UnsupportedImage
from catdog.image_formats import avif, chunks, jpeg, resize, truncation
from catdog.image_formats.orientation import Metadata
from catdog.image_formats.resize import Box
from catdog.network.architecture import INPUT_PIXELS

LIMIT_PIXELS = 25_000_000
LIMIT_SIDE_PIXELS = 16_384
LIMIT_RUN_LENGTH_PIXELS = 2_000_000  # Pillow unpacks a run-length BMP in Python, 2 bytes in half a microsecond
# Fast reductions may shrink a photo to this multiple of the target size, not further: docs/decisions/serving/0003.
REDUCED_RATIO = 3

_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "AVIF": AvifImageFile,
}
with suppress(ImportError):
    from pillow_heif import HeifImageFile

    _READERS["HEIC"] = HeifImageFile
FORMATS = tuple(_READERS)  # supported formats

# The signatures of files. AVIF comes before HEIC, because an AVIF may have HEIC's general brands (mif1, msf1) too.
_SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WebP": rb"RIFF.{4}WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{13}\0\0\0",
    "AVIF": rb".{4}ftyp(?:.{4}){0,15}?avi[fs]",
    "HEIC": rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|m[is]f1)",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\0\0\0\x0cJXL |\xff\x0a",
    "ICO": rb"\0\0\x01\0",
    "PSD": rb"8BPS",
    "PDF": rb"%PDF-",
}

# The exceptions of Pillow's readers for corrupt bytes; caught only around calls to them.
_CORRUPT = (
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # an exception if Python is configured so
    AssertionError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_ITEM_OF_EXIF = re.compile(rb"(infe.{8}|infe.{10})Exif", re.DOTALL)

_UPRIGHT: dict[int, Transpose] = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}

SIDEWAYS = range(5, 9)  # orientations whose stored width is the height

_STEPS = {
    "frame": "first",
    "orientation": "exif",
    "alpha": "over white",
    "depth": "high byte",
    "colour profile": "ignored",
    "fit": "squash",
    "size": [INPUT_PIXELS, INPUT_PIXELS, 3],
    "filter": "bicubic, antialiased",
    "reduced ratio": REDUCED_RATIO,
    "channels": "RGB",
}
# A change of the resulting pixels must change `_STEPS`: versions trained on other pixels then refuse to load.
FINGERPRINT = hashlib.sha256(json.dumps(_STEPS, sort_keys=True).encode()).hexdigest()

# Pillow's own limit is twice this; it must accept the largest WebP, so that our error can name the size.
Image.MAX_IMAGE_PIXELS = 16_383**2 // 2
# Pillow's warnings of broken metadata vary without limit, and Python would store each one to show it only once.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(data: bytes, pixels: int = INPUT_PIXELS) -> NDArray[np.uint8]:
    """The whole photo, squashed to a square: uint8 RGB (pixels, pixels, 3), 0-255.

    Raises UnsupportedImage, BrokenImage or TooManyPixels.
    """
    name = identify(data)
    with _reading(name):
        file, metadata, has_end = _essence(data, name)
        image = _open(file, name)
        picture, box = _load(image, file, pixels, has_end)
        flat = _flatten(picture)
    squashed = resize.squash(flat, pixels, box, REDUCED_RATIO)
    # Rotated last: the target is square, so the order doesn't matter, and this way the fewest pixels are moved.
    upright = _UPRIGHT.get(_orientation(image, metadata))
    if upright is not None:
        squashed = squashed.transpose(upright)
    return np.array(squashed if squashed.mode == "RGB" else squashed.convert("RGB"))


def shown_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of the upright photo, from its header; the errors of `decode`."""
    name = identify(data)
    with _reading(name):
        file, metadata, _ = _essence(data, name)
        image = _open(file, name)
        width, height = image.size
        return (height, width) if _orientation(image, metadata) in SIDEWAYS else (width, height)


def identify(data: bytes) -> str:
    """The format detected from the bytes, one of FORMATS; raises UnsupportedImage."""
    names = (name for name, signature in _SIGNATURES.items() if re.match(signature, data, re.DOTALL))
    name = next(names, None)
    if name not in FORMATS:
        raise UnsupportedImage(FORMATS, name)
    return name


@contextmanager
def _reading(format: str) -> Iterator[None]:
    try:
        yield
    except _CORRUPT as error:
        raise BrokenImage(format, str(error) or type(error).__name__) from error


def _essence(data: bytes, format: str) -> tuple[bytes, Metadata, bool]:
    """The file with only what its pixels need, the orientation metadata, and whether it has an end marker."""
    metadata, has_end = Metadata(), True
    match format:
        case "JPEG":
            found = jpeg.read(data)
            return found.file, found.metadata, found.has_end
        case "PNG":
            data, metadata = chunks.read_png(data)
        case "WebP":
            data, metadata = chunks.read_webp(data)
        case "GIF":
            data = chunks.read_gif(data)
        case "AVIF":  # orientation is stored elsewhere; libavif refuses files with a broken EXIF block
            _check_limits(*avif.largest_frame(data))
            data = _ITEM_OF_EXIF.sub(rb"\1skip", data)
    return data, metadata, has_end


def _open(data: bytes, format: str) -> ImageFile.ImageFile:
    """Read the header and check the limits, without decoding any pixel."""
    if format == "GIF":  # Pillow allocates an empty frame before the size is available
        _check_limits(*struct.unpack_from("<HH", data, 6))
    try:
        image = _READERS[format](BytesIO(data))
    except MemoryError as error:  # caused by the header; later errors may not be the photo's fault
        raise OSError("its header requires more memory than available") from error
    _check_limits(*image.size)
    match image:
        case PngImageFile():
            _scale_transparent_colour(image)
        case BmpImageFile() if image.tile[0].codec_name == "bmp_rle":
            _check_limits(*image.size, LIMIT_RUN_LENGTH_PIXELS)
            image.fp = BytesIO(data[: image.tile[0].offset + 2 * (image.width + 1) * (image.height + 1)])
    return image


def _check_limits(width: int, height: int, limit_pixels: int = LIMIT_PIXELS) -> None:
    if width * height > limit_pixels or max(width, height) > LIMIT_SIDE_PIXELS:
        raise TooManyPixels(width, height, limit_pixels, LIMIT_SIDE_PIXELS)


def _load(image: ImageFile.ImageFile, data: bytes, pixels: int, has_end: bool) -> tuple[Image.Image, Box | None]:
    """Decode the pixels; returns them with the box that the photo fills, None for all of it."""
    if isinstance(image, WebPImageFile):
        return _load_webp(image), None
    if not isinstance(image, JpegImageFile):
        image.load()
        return image, None
    box = _load_jpeg(image, pixels)
    if not has_end:
        truncation.check_all_there(data)
    elif truncation.ends_in_grey(image):
        _check_end(image, data, pixels)
    return image, box


def _load_webp(image: WebPImageFile) -> Image.Image:
    """Like Pillow's load, but frees the decoder, which holds two pictures of this size, before the next copy."""
    decoded, _, _ = image._get_next()
    del image._decoder
    return Image.frombytes(image.mode, image.size, decoded, "raw", image.rawmode)


def _load_jpeg(image: JpegImageFile, pixels: int) -> Box | None:
    """Decode at a half, quarter or eighth if that is large enough; the photo may then end inside the last pixel."""
    at_least = REDUCED_RATIO * pixels
    drafted = image.draft(None, (at_least, at_least))
    image.load()
    return drafted[1] if drafted else None


def _check_end(image: JpegImageFile, data: bytes, pixels: int) -> None:
    """Raise OSError if pixels are missing before the end marker, which libjpeg silently replaces with grey.

    Bytes inserted before the marker are ignored if the picture is complete, and become pixels if it isn't.
    """
    longer = JpegImageFile(BytesIO(truncation.with_more(data)))
    _load_jpeg(longer, pixels)
    if truncation.sha256(longer) != truncation.sha256(image):
        raise OSError("image file is truncated before its end marker")


def _scale_transparent_colour(image: PngImageFile) -> None:
    """Scale the transparent colour like the pixels: at these depths Pillow scales only the pixels."""
    colour = image.info.get("transparency")
    match image.tile[0].args:
        case "L;2" if colour is not None:
            image.info["transparency"] = colour * 0x55
        case "L;4" if colour is not None:
            image.info["transparency"] = colour * 0x11
        case "RGB;16B" if colour is not None:
            image.info["transparency"] = tuple(channel >> 8 for channel in colour)


def _flatten(image: Image.Image) -> Image.Image:
    """The picture in 8 bits, mode RGB or L, with transparency over white."""
    if image.mode == "I;16":
        return _flatten_16_bit(image)
    if image.has_transparency_data:
        transparent = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(transparent, mask=transparent)
        return white
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _flatten_16_bit(image: Image.Image) -> Image.Image:
    # Pillow's own conversion clips at 255; for 16-bit colour it uses the high byte.
    values = np.array(image)
    values[values == image.info.get("transparency", -1)] = 0xFFFF
    return Image.fromarray((values >> 8).astype(np.uint8))


def _orientation(image: Image.Image, metadata: Metadata) -> int:
    found = image.info.get("exif", b""), image.info.get("xmp", b"")  # of AVIF and HEIC
    return (metadata if metadata != Metadata() else Metadata(*found)).orientation
