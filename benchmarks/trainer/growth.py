"""Measures how training time grows with the number of photos."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from time import monotonic
from zipfile import ZipFile

from PIL import Image

from benchmarks.harness.photos import QUALITY, SHARED_DATA
from benchmarks.trainer import training
from catdog.versions.version import Version

SIZES = (500, 2_000, 16_000)  # training photos
VALIDATION = 200
POOL = SHARED_DATA / "pool"


@dataclass(frozen=True)
class Step:
    """One number of photos: seconds of our whole training, and of one epoch of the tutorial's."""

    photos: int
    ours: float
    tutorial: float


@dataclass(frozen=True)
class Growth:
    """The steps with enough photos and time; `too_long` is the first one without enough time."""

    steps: tuple[Step, ...]
    too_long: int | None = None  # photos


def measure(version: Version, folder: Path, pace: float, until: float, sizes: Sequence[int] = SIZES) -> Growth:
    """One step per size, each with two whole commands.

    `pace` is an estimate of the seconds per photo of both together. `until` is the time on the monotonic clock before
    which a step must be expected to end.
    """
    steps: list[Step] = []
    for size in sizes:
        if monotonic() + pace * (size + VALIDATION) > until:
            return Growth(tuple(steps), size)
        data = folder / f"photos-{size}"
        if not _lay_out(data, size):
            break
        ours = training.ours(version, data, folder / f"catdog-{size}").seconds
        tutorial, _ = training.tutorial(version, data, training.NEVER, 1, folder)
        shutil.rmtree(data)
        print(
            f"growth: {size:,} photos: catdog {ours:.1f} s, one epoch of the tutorial's way {tutorial:.1f} s",
            flush=True,
        )
        steps.append(Step(size, ours, tutorial))
        pace = (ours + tutorial) / (size + VALIDATION)
    return Growth(tuple(steps))


def _lay_out(folder: Path, size: int) -> bool:
    """Put `size` photos into folders of splits and classes, half of each class; False if there are too few."""
    for split, count in (("train", size), ("validation", VALIDATION)):
        for name in ("cat", "dog"):
            place = folder / split / name
            place.mkdir(parents=True)
            photos = list(islice(_photos(split, name), count // 2))
            if len(photos) < count // 2:
                return False
            for number, photo in enumerate(photos):
                (place / f"{number}.jpg").write_bytes(photo)
    return True


def _photos(split: str, name: str) -> Iterator[bytes]:
    """JPEGs of one class; those of the pool are converted, because TensorFlow can't read WebP."""
    yield from (path.read_bytes() for path in sorted((training.PHOTOS / split / name).iterdir()))
    if split == "train":
        for path in sorted(POOL.glob("*.zip")):
            with ZipFile(path) as archive:
                yield from (
                    _jpeg(archive.read(member)) for member in archive.namelist() if member.startswith(f"{name}/")
                )


def _jpeg(photo: bytes) -> bytes:
    file = BytesIO()
    Image.open(BytesIO(photo)).convert("RGB").save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
