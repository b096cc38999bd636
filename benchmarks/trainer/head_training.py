"""Measures the time of a head training relative to inference, by command and over HTTP.

`python -m benchmarks.trainer.head_training [--photos N]` trains a head of version 1 on 2,000 training and 1,000
validation photos, or on the first N and half as many. Seconds are wall-clock time and processor time; if the machine
has other load, use the ratio of the latter.
"""

import os
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.harness import versions
from benchmarks.harness.processes import ROOT, python, running
from benchmarks.load.client import Client
from benchmarks.trainer import training
from benchmarks.trainer.teacher import KEY, Teacher
from catdog.engines.engine import Asked
from catdog.engines.openvino import OpenVINOEngine
from catdog.versions.store import Store
from catdog.versions.version import Version
from training.data import dataset, features
from training.data.dataset import Photo
from training.data.pixels import decode

SPLITS = {"train": 2, "validation": 1}  # thirds of the photos
CLASSES = ("cat", "dog")
KNOWN_JOBS = 3  # the first of them starts the worker


@dataclass
class Seconds:
    """Wall-clock seconds, and processor seconds of all cores."""

    clock: float = 0.0
    cores: float = 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Add the time of this process and of the processes that it waits for."""
        clock, cores = perf_counter(), _cores()
        yield
        self.clock += perf_counter() - clock
        self.cores += _cores() - cores


def main() -> None:
    parser = ArgumentParser(
        "python -m benchmarks.trainer.head_training", description="Measures the cost of a new head."
    )
    parser.add_argument("--photos", type=int, default=2000, metavar="N", help="training photos (default 2000)")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="catdog-benchmarks-") as place:
        folder = Path(place)
        version = versions.shipped(ROOT / "models", folder / "models").version
        data = _photos(folder / "photos", arguments.photos)
        show_command(version, data, folder)
        show_jobs(version, data, folder)


def show_command(version: Version, data: Path, folder: Path) -> None:
    """Train a head on the version, the only one in its store; measure its photos in the engine before and after."""
    photos = [photo for split in dataset.read(data).splits.values() for photo in split]
    half, engine, command = len(photos) // 2, Seconds(), Seconds()
    _infer(version, photos[:half], "auto", engine)
    with command.counted():
        training.ours(version, data, folder)
    _infer(version, photos[half:], "auto", engine)
    found = Store(version.path.parent).open(2).manifest.quantization
    compared = found.photos_f32 or found.photos if found else 0
    float32 = Seconds()
    _infer(version, photos[-compared:], "f32", float32)
    every = Seconds(engine.clock + float32.clock, engine.cores + float32.cores)
    for what, seconds in (
        (f"{len(photos):,} photos in the engine", engine),
        (f"{compared} of them in float32", float32),
        ("the whole command, nothing known", command),
    ):
        print(f"{what:<40}  {seconds.clock:7.1f} s  {seconds.cores:7.1f} s of cores", flush=True)
    for what, part in (("the photos", engine), ("these and float32", every)):
        clock, cores = command.clock / part.clock, command.cores / part.cores
        print(f"{'the command, of ' + what:<40}  {clock:7.2f}    {cores:7.2f}", flush=True)


def show_jobs(version: Version, data: Path, folder: Path) -> None:
    """Train over HTTP, with the features cached by the command."""
    settings = {
        "CATDOG_MODELS_DIR": str(version.path.parent),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_ADMIN_KEY": KEY,
    }
    with running(python("app"), settings, folder) as process:
        with Client(process.port) as client:
            process.seconds_until(lambda: client.succeeds("/health/ready"))
        teacher = Teacher(process.port)
        named = {f"{split}/{name}": sorted((data / split / name).iterdir()) for split in SPLITS for name in CLASSES}
        teacher.upload("pets", named)
        for number in range(KNOWN_JOBS):
            seconds, _ = teacher.retrain(dataset="pets", promote="never")
            what = "a job over HTTP, all known" + (", and a worker's start" if not number else "")
            print(f"{what:<40}  {seconds:7.2f} s", flush=True)


def _infer(version: Version, photos: Sequence[Photo], precision: Asked, seconds: Seconds) -> None:
    """Run the photos through an engine; only inference is measured."""
    engine = OpenVINOEngine(version.network(precision), precision)
    for start in range(0, len(photos), features.TOGETHER):
        _, pixels = decode(photos[start : start + features.TOGETHER], lambda *_: None)
        with seconds.counted():
            engine.infer(pixels)


def _photos(folder: Path, train: int) -> Path:
    """A folder of links to the first photos of each split and class."""
    for split, thirds in SPLITS.items():
        for name in CLASSES:
            (folder / split / name).mkdir(parents=True)
            for photo in sorted((training.PHOTOS / split / name).iterdir())[: train * thirds // 4]:
                (folder / split / name / photo.name).symlink_to(photo)
    return folder


def _cores() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
