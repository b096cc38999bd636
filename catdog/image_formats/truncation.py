"""Detects truncated JPEGs, whose missing pixels libjpeg fills with grey.

Bytes inserted before the end marker are ignored if the picture is complete, and become pixels if it isn't.
"""

import hashlib
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from catdog.image_formats.jpeg import END

_MORE = b"\x5a" * 64


def ends_in_grey(image: Image.Image) -> bool:
    """Whether pixels may be missing."""
    corner = image.crop((max(0, image.width - 8), max(0, image.height - 8), *image.size))
    return set(np.asarray(corner).flat) <= {127, 128}  # 127 if CMYK was stored inverted


def with_more(data: bytes) -> bytes:
    return data[: -len(END)] + _MORE + END


def check_all_there(data: bytes) -> None:
    """Raises OSError if a JPEG without an end marker lacks pixels; decodes all of its pixels."""
    if _sha256_of_all(data) != _sha256_of_all(with_more(data)):
        raise OSError("image file is truncated")


def _sha256_of_all(jpeg: bytes) -> bytes:
    image = JpegImageFile(BytesIO(jpeg))
    image.load()
    return sha256(image)


def sha256(image: Image.Image) -> bytes:
    """The hash of the pixels."""
    return hashlib.sha256(np.asarray(image).data).digest()
