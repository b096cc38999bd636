"""Detects truncated JPEGs, whose missing pixels libjpeg fills with grey.

Bytes put in front of the end marker are ignored if the picture was complete, and become pixels if it wasn't.
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
    return set(np.asarray(corner).flat) <= {127, 128}  # 127 where CMYK was stored inverted


def with_more(data: bytes) -> bytes:
    return data[: -len(END)] + _MORE + END


def check_all_there(data: bytes) -> None:
    """Raises OSError where pixels of a JPEG are missing that had no end marker; none of its pixels is left out here."""
    if _sha256_of_all(data) != _sha256_of_all(with_more(data)):
        raise OSError("image file is truncated")


def _sha256_of_all(jpeg: bytes) -> bytes:
    image = JpegImageFile(BytesIO(jpeg))
    image.load()
    return sha256(image)


def sha256(image: Image.Image) -> bytes:
    """Of the pixels."""
    return hashlib.sha256(np.asarray(image).data).digest()
