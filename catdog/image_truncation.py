"""Whether all pixels of a JPEG are there: libjpeg silently fills up with grey what is missing."""

import hashlib
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from catdog.image_jpeg import END, PADDING_BYTES, SCAN

_MORE = b"\x5a" * 64
_LESS_BYTES = 2 * PADDING_BYTES  # what may be left of padding, and some of the pixels


def ends_in_grey(image: Image.Image) -> bool:
    """Whether pixels may be missing."""
    corner = image.crop((max(0, image.width - 8), max(0, image.height - 8), *image.size))
    return set(np.asarray(corner).flat) <= {127, 128}  # 127 where CMYK was stored inverted


def with_more(data: bytes) -> bytes:
    """Bytes put in front of the end marker are ignored if the picture was complete, and become pixels if it wasn't."""
    return data[: -len(END)] + _MORE + END


def check_all_there(data: bytes) -> None:
    """Raises OSError unless a JPEG whose end marker was missing ends where its pixels do.

    More bytes then change nothing, and fewer change something: else it was cut short, and other bytes follow. The
    latter can't be seen where the last scan or the last pixels say nothing.
    """
    image = _whole(data)
    whole, longer = _sha256(image), _sha256(_whole(with_more(data)))
    if whole == longer and ("progressive" in image.info or ends_in_grey(image)):
        return
    if whole != longer or whole == _sha256(_whole(_with_less(data))):
        raise OSError("image file is truncated")


def _with_less(data: bytes) -> bytes:
    scan = data.rindex(SCAN)
    pixels = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4])
    return data[: max(pixels, len(data) - len(END) - _LESS_BYTES)] + END


def _whole(jpeg: bytes) -> JpegImageFile:
    """None of its pixels left out."""
    image = JpegImageFile(BytesIO(jpeg))
    image.load()
    return image


def _sha256(image: Image.Image) -> bytes:
    return hashlib.sha256(np.asarray(image).data).digest()
