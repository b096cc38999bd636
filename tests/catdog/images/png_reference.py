"""A PNG decoder independent of Pillow, in floating point, slow: the reference for `catdog.images`.

After W3C, "Portable Network Graphics (PNG) Specification (Third Edition)".
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type


def over_white(data: bytes) -> NDArray[np.float64]:
    """The picture over white, (height, width, 3), 0-255."""
    chunks: dict[bytes, bytes] = {}
    for name, content in _chunks(data):
        chunks[name] = chunks.get(name, b"") + content
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    samples = _samples(zlib.decompress(chunks[b"IDAT"]), width, height, depth, CHANNELS[colour], bool(interlaced))
    rgb, alpha = _colours(samples, 2**depth - 1, colour, chunks.get(b"PLTE", b""), chunks.get(b"tRNS"))
    return np.asarray(255 * (rgb * alpha + 1 - alpha))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += length + 12


def _samples(raw: bytes, width: int, height: int, depth: int, channels: int, interlaced: bool) -> NDArray[np.int64]:
    """Every sample as it's stored, (height, width, channels)."""
    samples = np.zeros((height, width, channels), np.int64)
    at = 0
    for x, y, step_x, step_y in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        stride = -(-columns * channels * depth // 8)
        if columns <= 0 or rows <= 0:
            continue
        above = bytearray(stride)
        for row in range(y, height, step_y):
            above = _unfiltered(raw[at], raw[at + 1 : at + 1 + stride], above, max(1, channels * depth // 8))
            samples[row, x::step_x] = _unpacked(above, depth)[: columns * channels].reshape(columns, channels)
            at += 1 + stride
    return samples


def _unfiltered(filter: int, line: bytes, above: bytearray, pixel_bytes: int) -> bytearray:
    out = bytearray(len(line))
    for i, value in enumerate(line):
        left, corner = (out[i - pixel_bytes], above[i - pixel_bytes]) if i >= pixel_bytes else (0, 0)
        up = above[i]
        nearest = min((left, up, corner), key=lambda known: abs(left + up - corner - known))
        out[i] = (value + (0, left, up, (left + up) // 2, nearest)[filter]) % 256
    return out


def _unpacked(line: bytearray, depth: int) -> NDArray[np.int64]:
    bits = np.unpackbits(np.frombuffer(bytes(line), np.uint8)).astype(np.int64)
    return np.asarray(bits[: len(bits) // depth * depth].reshape(-1, depth) @ (1 << np.arange(depth)[::-1]))


def _colours(
    samples: NDArray[np.int64], full: int, colour: int, palette: bytes, transparent: bytes | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Colour and alpha, 0 to 1."""
    if colour == 3:
        entries = np.frombuffer(palette, np.uint8).reshape(-1, 3) / 255
        alphas = np.ones(len(entries))
        alphas[: len(transparent or b"")] = np.frombuffer(transparent or b"", np.uint8) / 255
        return entries[samples[..., 0]], alphas[samples]
    alpha = np.ones((*samples.shape[:2], 1))
    if colour in (4, 6):
        alpha, samples = samples[..., -1:] / full, samples[..., :-1]
    elif transparent is not None:
        hidden = np.frombuffer(transparent, ">u2")
        alpha = 1.0 - (samples == hidden).all(-1, keepdims=True)
    return np.broadcast_to(samples / full, (*samples.shape[:2], 3)), alpha
