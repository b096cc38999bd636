"""Measures the time from the label that starts a training to the answers of the new version.

`python -m benchmarks.trainer.last_label [--rounds N] [--labels N]` starts the service with the shipped model and a rule
that trains after some labels (`CATDOG_RETRAIN_AFTER_LABELS`). Its data set begins with few training photos of cats
and dogs, and each round labels new ones by feedback. The features of all but the round's photos are cached.
"""

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from itertools import chain
from json import dumps
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any, Final

from benchmarks.harness import machine, versions
from benchmarks.harness.processes import ROOT, BenchmarkError, python, running
from benchmarks.load.client import Client
from benchmarks.trainer.teacher import JOB_SECONDS, KEY, POLL_SECONDS, Teacher
from benchmarks.trainer.training import PHOTOS

DATASET: Final = "pets"
CLASSES: Final = ("cat", "dog")
FIRST_PHOTOS: Final = 4  # for training, of each class
TEST_PHOTOS: Final = 40  # of each class

Labelled = tuple[str, Path]


def main() -> None:
    parser = ArgumentParser(
        "python -m benchmarks.trainer.last_label", description="Measures how soon labels change the answers."
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="trainings (default 5)")
    parser.add_argument("--labels", type=int, default=50, metavar="N", help="new labels of each (default 50)")
    arguments = parser.parse_args()
    print(machine.Machine.this().where)
    with TemporaryDirectory(prefix="catdog-benchmarks-") as folder:
        version = versions.shipped(ROOT / "models", Path(folder) / "models").version
        seconds = measure(version.path.parent, arguments.rounds, arguments.labels)
    print(f"label {arguments.labels} to the new version in service: median {median(seconds):.1f} s, n = {len(seconds)}")


def measure(models: Path, rounds: int, labels: int) -> list[float]:
    """Seconds of each round. BenchmarkError if a version isn't promoted."""
    settings = {
        "CATDOG_MODELS_DIR": str(models),
        "CATDOG_DATA_DIR": str(models.parent / "data"),
        "CATDOG_ADMIN_KEY": KEY,
        "CATDOG_RETRAIN_AFTER_LABELS": str(labels),
        "CATDOG_RETRAIN_AT_MOST_EVERY": "0",
        "CATDOG_RETRAIN_DATASET": DATASET,
    }
    with running(python("app"), settings, models.parent) as process:
        with Client(process.port) as client:
            process.seconds_until(lambda: client.succeeds("/health/ready"))
        teacher = Teacher(process.port)
        teacher.upload(DATASET, _first_photos())  # these are more than `labels`, so they start a training
        first = _newest_job(teacher, number=1)
        teacher.ask("POST", f"/models/{first['version']}/promote")
        photos = _labelled("train", FIRST_PHOTOS)
        return [_round(teacher, [next(photos) for _ in range(labels)], number) for number in range(rounds)]


def _round(teacher: Teacher, photos: Sequence[Labelled], number: int) -> float:
    """Label the photos; seconds from the last label to the answer of another version."""
    before = teacher.ask("GET", "/model")["version"]
    for photo in photos[:-1]:
        _label(teacher, photo)
    began = perf_counter()
    _label(teacher, photos[-1])
    job = _newest_job(teacher, number=number + 2)
    if not job["decision"]["promoted"]:
        raise BenchmarkError(f"version {job['version']} was not promoted: {job['reason']}")
    while teacher.ask("GET", "/model")["version"] == before:
        sleep(POLL_SECONDS)
    seconds = perf_counter() - began
    print(f"version {job['version']}, {job['trigger']}: {seconds:.1f} s; {job['reason']}", flush=True)
    return seconds


def _newest_job(teacher: Teacher, number: int) -> Any:
    """The `number`th job, once it has ended."""
    began = perf_counter()
    while len(jobs := teacher.ask("GET", "/retrain")["jobs"]) < number:
        if perf_counter() - began > JOB_SECONDS:
            raise BenchmarkError(f"no training has started: {teacher.ask('GET', '/retrain/policy')['reason']}")
        sleep(POLL_SECONDS)
    return teacher.wait(jobs[0]["id"])


def _label(teacher: Teacher, photo: Labelled) -> None:
    """Ask about a photo, and say what it shows."""
    label, path = photo
    prediction = teacher.ask("POST", "/predict", path.read_bytes(), "image/jpeg")["prediction_id"]
    feedback = {"prediction_id": prediction, "label": label, "dataset": DATASET}
    teacher.ask("POST", "/feedback", dumps(feedback).encode())


def _first_photos() -> dict[str, list[Path]]:
    numbers = {"train": ("train", FIRST_PHOTOS), "test": ("validation", TEST_PHOTOS)}  # by split: source and number
    return {
        f"{split}/{label}": sorted((PHOTOS / source / label).iterdir())[:number]
        for split, (source, number) in numbers.items()
        for label in CLASSES
    }


def _labelled(split: str, first: int) -> Iterator[Labelled]:
    """Photos from the `first` of each class on, of the classes in turn."""
    files = zip(*(sorted((PHOTOS / split / label).iterdir())[first:] for label in CLASSES), strict=True)
    return chain.from_iterable(zip(CLASSES, pair, strict=True) for pair in files)


if __name__ == "__main__":
    main()
