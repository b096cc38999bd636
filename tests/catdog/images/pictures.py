"""Pictures for the tests of `catdog.images`: known pixels, in files of every format."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

with suppress(ImportError):
    from pillow_heif import register_heif_opener

    register_heif_opener()  # to write HEIC

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """Red and green above, blue and white below: every rotation and reflection looks different."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def middles(pixels: NDArray[np.uint8]) -> NDArray[np.int_]:
    """The pixel in the middle of each quarter, (2, 2, 3)."""
    step = len(pixels) // 4
    return pixels[step :: 2 * step, step :: 2 * step].astype(int)


QUARTERS = np.array([[RED, GREEN], [BLUE, WHITE]])


def texture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Noise at many scales, much like a photo's."""
    noise = np.random.default_rng(seed)
    layers = (noise.integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (4, 16, 64, 256, 1024))
    enlarged = [
        np.asarray(Image.fromarray(layer).resize((width, height), Image.Resampling.BICUBIC)) for layer in layers
    ]
    return Image.fromarray(np.mean(enlarged, 0).astype(np.uint8))


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    """The image as a file; `format` and `options` are Pillow's."""
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, row: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG of equal rows in any depth and colour type; `extra` are chunks (name, content) before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * min(height, 64))
    chunks = ((b"IHDR", header), *extra, (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, chunks))


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    name, content = chunk
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def patched(data: bytes, offset: int, replacement: bytes) -> bytes:
    return data[:offset] + replacement + data[offset + len(replacement) :]
