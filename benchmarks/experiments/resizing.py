"""Measures the speed of decoding photos with Pillow's resizing and with a SIMD library's.

Speed: both ways decode the same photos alternately on every core, in one run, so that other load slows both. Pixels:
both are compared with the same filter in 64-bit floating point. `--agreement`: compares the answers of the version in
service to the validation photos.
"""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import photos
from benchmarks.harness.machine import Machine
from benchmarks.harness.processes import ROOT
from catdog import images
from catdog.engines.openvino import OpenVINOEngine
from catdog.image_formats import resize
from catdog.network.architecture import INPUT_PIXELS
from catdog.system import resources
from catdog.versions.store import Store

ROUNDS = 15
BATCH = 25
VALIDATION = photos.SHARED_DATA / "cats_and_dogs" / "validation"
WAYS = {"Pillow": False, "SIMD": True}  # by image_resize.HAS_SIMD

Pixels = NDArray[np.uint8]


class Speed(NamedTuple):
    """The speed of one round over all photos."""

    photos_a_second: float  # on all cores
    milliseconds: float  # of processor time per photo


def decoded(way: str, sent: Sequence[bytes], pool: ThreadPoolExecutor | None = None) -> list[Pixels]:
    resize.HAS_SIMD = WAYS[way]
    return list(map(images.decode, sent) if pool is None else pool.map(images.decode, sent))


def rounds(sent: Sequence[bytes]) -> dict[str, list[Speed]]:
    """The ways alternate, and so does the one that begins."""
    found: dict[str, list[Speed]] = {way: [] for way in WAYS}
    with ThreadPoolExecutor(resources.usable_cores()) as pool:
        for number in range(ROUNDS + 1):
            for way in sorted(WAYS, reverse=bool(number % 2)):
                begun, used = perf_counter(), process_time()
                decoded(way, sent, pool)
                took, used = perf_counter() - begun, process_time() - used
                found[way].append(Speed(len(sent) / took, 1000 * used / len(sent)))
    return {way: speeds[1:] for way, speeds in found.items()}  # without the first round, a warm-up


def speed(sent: Sequence[bytes]) -> Iterator[str]:
    found = rounds(sent)
    yield f"{'':8} photos a second   ms of a core (medians of {ROUNDS} rounds)"
    for way, speeds in found.items():
        wall, used = (median(values) for values in zip(*speeds, strict=True))
        yield f"{way:8} {wall:15.0f} {used:14.2f}"
    pairs = list(zip(found["Pillow"], found["SIMD"], strict=True))
    yield in_words("photos a second", [simd.photos_a_second / pillow.photos_a_second for pillow, simd in pairs])
    yield in_words("by processor time", [pillow.milliseconds / simd.milliseconds for pillow, simd in pairs])


def in_words(name: str, ratios: Sequence[float]) -> str:
    return f"{name}: {median(ratios):.2f} times as fast (the rounds: {min(ratios):.2f} to {max(ratios):.2f})"


def weights(size: int) -> NDArray[np.float64]:
    """The filter along one side as a matrix (INPUT_PIXELS, size)."""
    scale = size / INPUT_PIXELS
    centres = (np.arange(INPUT_PIXELS) + 0.5) * scale
    x = np.abs(np.arange(size) + 0.5 - centres[:, np.newaxis]) / max(scale, 1)
    kernel = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((2.5 - 0.5 * x) * x - 4) * x + 2, 0))
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))


def exact(photo: bytes) -> NDArray[np.float64]:
    """The squashed photo without any rounding; only for photos that are decoded at full size."""
    full = np.asarray(Image.open(BytesIO(photo)).convert("RGB"), np.float64)
    squashed: NDArray[np.float64] = np.einsum(
        "yh,hwc,xw->yxc", weights(full.shape[0]), full, weights(full.shape[1]), optimize=True
    )
    return np.clip(squashed, 0, 255)


def pixels(sent: Sequence[bytes]) -> Iterator[str]:
    found = {way: np.stack(decoded(way, sent)).astype(np.float64) for way in WAYS}
    reference = np.stack([exact(photo) for photo in sent])
    against = {way: (found[way], reference) for way in WAYS} | {"each other": (found["Pillow"], found["SIMD"])}
    yield "levels of 0-255 off               mean   99%  99.9%  largest"
    for name, (one, other) in against.items():
        off = np.abs(one - other)
        label = name if name == "each other" else f"{name}, from the exact filter"
        high, higher = np.percentile(off, (99, 99.9))
        yield f"{label:30} {off.mean():7.3f} {high:5.1f} {higher:6.1f} {off.max():8.1f}"


def agreement() -> Iterator[str]:
    store = Store(ROOT / "models")
    version = store.open(store.champion())
    engine = OpenVINOEngine(version.network(), "auto")
    files = [
        (file, label)
        for label, name in enumerate(version.manifest.classes)
        for file in sorted((VALIDATION / name).iterdir())
    ]
    said: dict[str, list[NDArray[np.float64]]] = {way: [] for way in WAYS}
    for start in range(0, len(files), BATCH):
        sent = [file.read_bytes() for file, _ in files[start : start + BATCH]]
        for way in WAYS:
            logits = engine.infer(np.stack(decoded(way, sent))).logits
            said[way].append(version.manifest.calibration.probabilities(logits))
    labels = np.array([label for _, label in files])
    told = {way: np.concatenate(parts) for way, parts in said.items()}
    for way, probabilities in told.items():
        right = (probabilities.argmax(axis=1) == labels).mean()
        loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
        yield f"{way:8} accuracy {right:.1%}, log-loss {loss:.4f}"
    one, other = told.values()
    off = np.abs(one - other).max(axis=1)
    same = int((one.argmax(axis=1) == other.argmax(axis=1)).sum())
    yield f"the same answer to {same} of {len(files)}; probabilities {off.mean():.5f} apart, at most {off.max():.4f}"


def main() -> None:
    if not resize.HAS_SIMD:
        sys.exit("cykooz-resizer isn't installed: there is nothing to compare")
    sent = photos.photos()
    machine = Machine.this()
    print(f"{len(sent)} {photos.described()}; {machine.where}; {machine.libraries}\n")
    parts = [speed(sent), pixels(sent), *([agreement()] if "--agreement" in sys.argv else [])]
    for part in parts:
        for line in part:
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
