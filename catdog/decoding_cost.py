"""Estimates the time and memory needed to decode a photo, from its header.

Measured with the most expensive files of `python -m benchmarks.load.hostile_photos`, on one core of an AMD EPYC.
"""

import re
import struct
from contextlib import suppress
from dataclasses import dataclass

from catdog import images
from catdog.errors import UnsupportedImage
from catdog.image_formats import avif, chunks, jpeg
from catdog.network.architecture import INPUT_PIXELS

_SECONDS_A_PIXEL = {"PNG": 45e-9, "WebP": 35e-9, "GIF": 12e-9, "BMP": 25e-9, "AVIF": 85e-9, "HEIC": 85e-9}
_BYTES_A_PIXEL = {"PNG": 9, "WebP": 13, "GIF": 10, "BMP": 9, "AVIF": 15, "HEIC": 15}
_SECONDS_A_PIXEL_RUN_LENGTH = 700e-9
_SECONDS_A_PIXEL_ONE_PASS, _SECONDS_A_PIXEL_SCANS = 4e-9, 22e-9
_SECONDS_A_BYTE = 10e-9  # of a JPEG
_SIZE_PROPERTY = re.compile(rb"ispe\0{4}(.{4})(.{4})", re.DOTALL)


@dataclass(frozen=True)
class Demand:
    """Upper estimates for decoding: seconds of one core, and bytes in addition to the file."""

    seconds: float = 0.0
    memory_bytes: int = 0


def demand(data: bytes) -> Demand:
    """The estimate for a photo; zero if its header is broken, because then it is refused without decoding."""
    with suppress(UnsupportedImage, OSError, struct.error, IndexError):
        name = images.identify(data)
        if name == "JPEG":
            return _of_jpeg(data)
        width, height = _size(data, name)
        is_run_length = name == "BMP" and data[30:31] in (b"\1", b"\2")
        each = _SECONDS_A_PIXEL_RUN_LENGTH if is_run_length else _SECONDS_A_PIXEL[name]
        return Demand(width * height * each, width * height * _BYTES_A_PIXEL[name])
    return Demand()


def _of_jpeg(data: bytes) -> Demand:
    frame = jpeg.frame(data)
    if frame is None:
        return Demand()
    pixels = frame.width * frame.height
    wanted = images.REDUCED_RATIO * INPUT_PIXELS
    scale = next(each for each in (8, 4, 2, 1) if each == 1 or min(frame.width, frame.height) >= each * wanted)
    coefficients = 0 if frame.is_one_pass else 2 * frame.components * pixels
    each = _SECONDS_A_PIXEL_ONE_PASS if frame.is_one_pass else _SECONDS_A_PIXEL_SCANS
    seconds = pixels * each + len(data) * _SECONDS_A_BYTE
    if frame.has_end:
        return Demand(seconds, coefficients + pixels // scale**2 * 10)
    return Demand(3 * seconds, coefficients + pixels * 10)  # the truncation check decodes it completely, two more times


def _size(data: bytes, format: str) -> tuple[int, int]:
    """Width and height in pixels."""
    match format:
        case "PNG":
            width, height = struct.unpack_from(">II", data, 16)
        case "GIF":
            width, height = chunks.gif_size(data)
        case "WebP":
            width, height = chunks.webp_size(data)
        case "BMP" if data[14] == 12:
            width, height = struct.unpack_from("<HH", data, 18)
        case "BMP":
            width, height = map(abs, struct.unpack_from("<ii", data, 18))
        case "AVIF":
            width, height = avif.largest_frame(data)
        case _:  # HEIC: the largest of its pictures
            sizes = (struct.unpack(">II", b"".join(found)) for found in _SIZE_PROPERTY.findall(data))
            width, height = max(sizes, key=lambda size: size[0] * size[1], default=(5000, 5000))
    return int(width), int(height)
