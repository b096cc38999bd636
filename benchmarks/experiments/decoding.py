"""Accuracy and speed of reduced-size JPEG decoding.

Accuracy: compares reduced with full decoding of the JPEGs of FOLDER, squashed to sizes well below their own. Only the
ratio of photo to target matters, so a small target stands for a large photo. For comparison it also measures the
effect of saving the photo again. Time: one of them, enlarged, squashed to the network's input size.
"""

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from time import thread_time

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from catdog import images
from catdog.network.architecture import INPUT_PIXELS

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "originals"
RATIOS = (1, 2, 3, 4)
TARGETS_PIXELS = (112, 56, 28)
SIZES_PIXELS = ((500, 375), (2048, 1536), (4000, 3000), (5656, 4242))
QUALITY = 90
ROUNDS = 7
NEVER = 10_000  # a ratio so high that nothing is reduced


def squash(data: bytes, pixels: int, ratio: int) -> NDArray[np.int64]:
    images.REDUCED_RATIO = ratio
    return images.decode(data, pixels).astype(np.int64)


def differences(photos: list[bytes], ratio: int) -> Iterator[NDArray[np.int64]]:
    """The difference between reduced and full decoding for each photo that is large enough, in levels of 0-255."""
    for photo in photos:
        smaller_side = min(Image.open(BytesIO(photo)).size)
        for pixels in TARGETS_PIXELS:
            if smaller_side >= 2 * ratio * pixels:
                yield np.abs(squash(photo, pixels, ratio) - squash(photo, pixels, NEVER)).ravel()


def differences_when_saved_again(photos: list[bytes]) -> Iterator[NDArray[np.int64]]:
    """The reference: the difference that saving as an ordinary JPEG again makes."""
    for photo in photos:
        again = saved(Image.open(BytesIO(photo)))
        yield np.abs(squash(photo, TARGETS_PIXELS[1], NEVER) - squash(again, TARGETS_PIXELS[1], NEVER)).ravel()


def milliseconds(data: bytes, ratio: int) -> float:
    """Processor time, so that other load matters little; the minimum of some rounds."""
    durations = []
    for _ in range(ROUNDS):
        start = thread_time()
        squash(data, INPUT_PIXELS, ratio)
        durations.append(thread_time() - start)
    return 1000 * min(durations)


def saved(image: Image.Image) -> bytes:
    file = BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def accuracy(photos: list[bytes]) -> Iterator[str]:
    yield "ratio  pictures   mean   99%  99.9%  largest difference"
    rows = [(str(ratio), list(differences(photos, ratio))) for ratio in RATIOS]
    for name, found in [*rows, ("saved", list(differences_when_saved_again(photos)))]:
        levels = np.concatenate(found)
        high, higher = np.percentile(levels, (99, 99.9))
        yield f"{name:5}  {len(found):8}  {levels.mean():5.2f}  {high:4.0f}  {higher:5.0f}  {levels.max():7}"


def times(photo: Image.Image) -> Iterator[str]:
    yield "milliseconds " + "".join(f"  ratio {ratio}" for ratio in RATIOS) + "     full"
    for width, height in SIZES_PIXELS:
        data = saved(photo.resize((width, height), Image.Resampling.BICUBIC))
        yield f"{width:5} x {height:<5}" + "".join(f"{milliseconds(data, ratio):9.1f}" for ratio in (*RATIOS, NEVER))


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    photos = [file.read_bytes() for file in sorted(folder.rglob("*.jpg"))]
    largest = Image.open(BytesIO(max(photos, key=len)))
    for line in (f"{len(photos)} photos", "", *accuracy(photos), "", *times(largest)):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
