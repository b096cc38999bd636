"""Makes the most expensive photos that the service accepts, and measures the cost of decoding them.

Each file is within 10 MiB and 25 megapixels and is decoded in a separate process: seconds on one thread, and the
increase of the process's peak memory.
"""

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from catdog import decoding_cost, images
from catdog.errors import ImageError

LIMIT_BYTES = 10 * 2**20
SIDE = 5000  # its square is the largest photo
LONG = (16_384, 1343)  # not high enough for decoding a JPEG at half size
ONE = "--one"
PNG_START = b"\x89PNG\r\n\x1a\n"


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def noise(width: int, height: int, channels: int, step: int = 8) -> Image.Image:
    """Blocks of random colours, `step` pixels wide; a larger `step` makes a smaller file."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (-(-height // step), -(-width // step), channels), dtype=np.uint8)
    pixels: NDArray[np.uint8] = small.repeat(step, 0).repeat(step, 1)[:height, :width]
    return Image.fromarray(pixels.squeeze())


def segment(marker: int, content: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def with_segments(each: bytes) -> bytes:
    """A small JPEG, padded to the limit before its pixels."""
    small = saved(noise(64, 64, 3), "JPEG")
    return small[:2] + each * ((LIMIT_BYTES - len(small)) // len(each)) + small[2:]


def scans(width: int, height: int, channels: int) -> bytes:
    """A progressive JPEG with the largest allowed number of scans."""
    image = noise(width, height, channels)
    data = saved(image.convert("CMYK") if channels == 4 else image, "JPEG", quality=50, progressive=True, subsampling=0)
    last = data[data.rindex(b"\xff\xda") : -2]
    room = (LIMIT_BYTES - len(data)) // len(last)
    return data[:-2] + last * max(0, min(room, 50 - data.count(b"\xff\xda\0"))) + data[-2:]


def grey_corner(width: int, height: int) -> bytes:
    """A JPEG that may be truncated, so that it is decoded twice."""
    image = noise(width, height, 3)
    image.paste((128, 128, 128), (width - 64, height - 64, width, height))
    return saved(image, "JPEG", quality=60, progressive=True, subsampling=0)


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunks(each: bytes, behind: int = 33) -> bytes:
    """A small PNG, padded to the limit after its header."""
    small = saved(noise(64, 64, 3), "PNG")
    return small[:behind] + each * ((LIMIT_BYTES - len(small)) // len(each)) + small[behind:]


def deep_png(interlaced: bool, noisy: int) -> bytes:
    """A PNG with 16 bits per channel and alpha, every row with the Paeth filter, the first rows noise."""
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 6, 0, 0, interlaced)
    row = b"\4" + bytes(8 * SIDE)
    packer, random = zlib.compressobj(1), np.random.default_rng(0)
    parts = [packer.compress(b"\4" + random.bytes(8 * SIDE)) for _ in range(noisy)]
    parts += [packer.compress(row * 100) for _ in range((SIDE - noisy) // 100 + 60 * interlaced)]
    pixels = b"".join((*parts, packer.flush()))
    return PNG_START + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND")


def exif_entries() -> bytes:
    """EXIF with 65,535 entries, none of which is the orientation."""
    entries = b"".join(struct.pack(">HHII", 0x9000 + place % 0x1000, 7, 100, 8) for place in range(65_535))
    return b"MM\0*" + struct.pack(">IH", 8, 65_535) + entries


def gif(extensions: bytes, size: tuple[int, int] = (64, 64)) -> bytes:
    small = saved(noise(*size, 1), "GIF", interlace=True, transparency=3)
    start = 13 + (3 << (small[10] & 7) + 1)
    return small[:start] + extensions + small[start:]


def run_length_bmp(width: int, height: int, codes: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + header + bytes(1024) + codes


def riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def webp_frames() -> bytes:
    small = saved(noise(16, 16, 3), "WEBP", save_all=True, append_images=[noise(16, 16, 3, 4)], duration=9)
    first = small.index(b"ANMF")
    length: int = 8 + struct.unpack_from("<I", small, first + 4)[0]
    body = small[12:first] + small[first : first + length] * ((LIMIT_BYTES - first) // length)
    return riff(body)


def webp_chunks() -> bytes:
    small = saved(noise(16, 16, 3), "WEBP")
    body = small[12:] + (b"ABCD" + bytes(4)) * ((LIMIT_BYTES - len(small)) // 8)
    return riff(body)


def avif_samples() -> bytes:
    """An animation that declares more frames than it can have."""
    data = saved(noise(64, 64, 3), "AVIF", save_all=True, append_images=[noise(64, 64, 3, 4)], speed=10)
    for name, place in ((b"stsz", 16), (b"stts", 16)):
        at = data.index(name) + place - 4
        data = data[:at] + struct.pack(">I", 2_000_000) + data[at + 4 :]
    return data


def avif_larger_than_it_says() -> bytes:
    """An AVIF whose container declares 64 x 64, but whose AV1 picture has 144 megapixels."""
    data = saved(Image.new("RGB", (12_000, 12_000)), "AVIF", speed=10)
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 64, 64) + data[at + 8 :]


FILES: dict[str, Callable[[], bytes]] = {
    "JPEG, Exif segments": lambda: with_segments(segment(0xE1, b"Exif\0\0" + bytes(8))),
    "JPEG, Exif segments of 10 KB": lambda: with_segments(segment(0xE1, b"Exif\0\0" + bytes(10_000))),
    "JPEG, Exif segments of 64 KB": lambda: with_segments(segment(0xE1, b"Exif\0\0" + bytes(65_000))),
    "JPEG, fill bytes": lambda: with_segments(b"\xff"),
    "JPEG, noughts between segments": lambda: with_segments(b"\0"),
    "JPEG, empty APP segments": lambda: with_segments(segment(0xE5)),
    "JPEG, APP13 of resources": lambda: with_segments(
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5400)
    ),
    "JPEG, ICC parts": lambda: with_segments(segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(2))),
    "JPEG, quantization tables": lambda: with_segments(segment(0xDB, bytes(65) * 1000)),
    "JPEG, frame headers": lambda: with_segments(segment(0xC0, bytes(65_000))),
    "JPEG, Huffman tables": lambda: with_segments(segment(0xC4)),
    "JPEG, restarts": lambda: with_segments(b"\xff\xd0"),
    "JPEG, 50 scans": lambda: scans(SIDE, SIDE, 3),
    "JPEG, 50 scans, long": lambda: scans(*LONG, 3),
    "JPEG, 50 scans, CMYK, long": lambda: scans(*LONG, 4),
    "JPEG, grey corner": lambda: grey_corner(SIDE, SIDE),
    "JPEG, grey corner, long": lambda: grey_corner(*LONG),
    "JPEG, no end": lambda: saved(noise(SIDE, SIDE, 3), "JPEG", quality=60, progressive=True, subsampling=0)[:-2],
    "JPEG, no end, long": lambda: saved(noise(*LONG, 3), "JPEG", quality=60, progressive=True, subsampling=0)[:-2],
    "PNG, empty chunks": lambda: with_chunks(chunk(b"teSt")),
    "PNG, empty pixels": lambda: with_chunks(chunk(b"IDAT")),
    "PNG, colour profiles": lambda: with_chunks(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**20)))),
    "PNG, texts": lambda: with_chunks(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20)))),
    "PNG, texts of EXIF": lambda: with_chunks(
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\n\n\n" + b"00" * (2**19 - 9)))
    ),
    "PNG, EXIF": lambda: with_chunks(chunk(b"eXIf", exif_entries())),
    "PNG, 16 bits, alpha": lambda: deep_png(False, 230),
    "PNG, 16 bits, alpha, interlaced": lambda: deep_png(True, 0),
    "PNG, alpha": lambda: saved(noise(SIDE, SIDE, 4), "PNG", compress_level=1),
    "PNG, palette with alpha": lambda: saved(noise(SIDE, SIDE, 1).convert("P"), "PNG", transparency=bytes(range(256))),
    "GIF, blocks of one byte": lambda: gif(b"!\xfe" + b"\1a" * (5 * 2**20 - 2000) + b"\0"),
    "GIF, empty extensions": lambda: gif(b"!\xfe\0" * (LIMIT_BYTES // 3 - 2000)),
    "GIF": lambda: gif(b"", (SIDE, SIDE)),
    "WebP, lossless, alpha": lambda: saved(noise(4900, 4900, 4), "WEBP", lossless=True, quality=0, method=0),
    "WebP, alpha": lambda: saved(noise(SIDE, SIDE, 4), "WEBP", quality=50, method=0),
    "WebP, frames": webp_frames,
    "WebP, empty chunks": webp_chunks,
    "BMP, one pixel a row": lambda: run_length_bmp(1414, 1414, b"\1\1\0\0" * 1414 + b"\0\1"),
    "BMP, runs of one": lambda: run_length_bmp(1414, 1414, b"\1\1" * 1414**2 + b"\0\1"),
    "BMP, runs beyond the row": lambda: run_length_bmp(1414, 1414, b"\xff\1" * (LIMIT_BYTES // 2 - 1000)),
    "BMP, 1 bit": lambda: saved(noise(SIDE, SIDE, 1).convert("1"), "BMP"),
    "BMP, 24 bits": lambda: saved(noise(1869, 1869, 3), "BMP"),
    "AVIF, alpha": lambda: saved(noise(SIDE, SIDE, 4), "AVIF", quality=55, speed=10, subsampling="4:4:4"),
    "AVIF, samples": avif_samples,
    "AVIF, larger than it says": avif_larger_than_it_says,
}


def measure() -> str:
    """Decode the file on stdin: seconds and additional peak megabytes, expected and measured."""
    data = sys.stdin.buffer.read()
    images.decode(saved(noise(64, 64, 3), "JPEG"))  # so that imports aren't measured
    expected = decoding_cost.demand(data)
    before, began = _peak_kilobytes(), perf_counter()
    try:
        images.decode(data)
        outcome = "taken"
    except ImageError as error:
        outcome = str(error)
    seconds, kilobytes = perf_counter() - began, _peak_kilobytes() - before
    numbers = (expected.seconds, expected.memory_bytes / 1e6, seconds, kilobytes / 1e3)
    return "{:8.2f}  {:10.0f}  {:8.2f}  {:10.0f}".format(*numbers) + f"  {outcome}"


def _peak_kilobytes() -> int:
    """The peak memory of this process, on Linux; `ru_maxrss` would include the parent's before the start."""
    (line,) = (line for line in Path("/proc/self/status").read_text("utf-8").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


def main() -> None:
    if sys.argv[1:] == [ONE]:
        print(measure())
        return
    print(f"{'':32}         ---- expected -----  ----- measured ----")
    print(f"{'file':32}   bytes   seconds   megabytes   seconds   megabytes")
    for name in sys.argv[1:] or FILES:
        data = FILES[name]()
        command = [sys.executable, "-m", "benchmarks.load.hostile_photos", ONE]
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        said = done.stdout.decode().rstrip() or f"died: {done.stderr[-200:].decode()}"
        print(f"{name:32}{len(data):8}  {said}", flush=True)


if __name__ == "__main__":
    main()
