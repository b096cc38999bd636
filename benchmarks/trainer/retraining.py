"""Measures the time of retraining jobs, and their effect on predictions.

Predictions are sent at a constant rate of half the service's capacity; their 99th percentiles are medians over windows
of 5 seconds.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from threading import Event
from time import perf_counter

from benchmarks.harness import versions
from benchmarks.harness.photos import SHARED_DATA, Upload
from benchmarks.harness.processes import BenchmarkError, Process, python, running
from benchmarks.harness.versions import Model
from benchmarks.load.client import Client
from benchmarks.load.exchanges import Answered
from benchmarks.load.open_loop import OpenLoop, p99_milliseconds
from benchmarks.trainer.teacher import KEY, Teacher

PHOTOS = SHARED_DATA / "cats_and_dogs"
DATASET = "pets"
NEW_PHOTOS = 100
CAPACITY_SECONDS = 4.0
ALONE_SECONDS = 10.0  # of predictions alone, before and after
SWAPS = 200
WARM_SWAPS = 20  # after these, memory may hardly grow
SWAP_SECONDS = 0.25  # between two swaps
SAME = 1e-3  # largest difference of probabilities of one version on one machine


@dataclass(frozen=True)
class Jobs:
    """Seconds from the request to the end of jobs with a new head, and the last one's decision."""

    photos: int
    first: float  # nothing known
    again: float  # every photo known
    new_photos: int
    with_new: float  # some photos new
    decision: str


@dataclass(frozen=True)
class Beside:
    """Predictions alone, before and after, and during something else; `failures` of `requests` failed."""

    requests_a_second: float
    requests: int
    failures: int
    alone_p99_milliseconds: float
    beside_p99_milliseconds: float

    @property
    def ratio(self) -> float:
        return self.beside_p99_milliseconds / self.alone_p99_milliseconds


@dataclass(frozen=True)
class Swaps:
    """Promotions and rollbacks under load; `wrong` answers didn't match the version that they name."""

    swaps: int
    predictions: Beside
    wrong: int
    warm_bytes: int
    end_bytes: int

    @property
    def growth(self) -> float:
        return self.end_bytes / self.warm_bytes - 1


@dataclass(frozen=True)
class Retraining:
    """One version's numbers."""

    model: str
    is_full_width: bool
    jobs: Jobs
    training: Beside
    swaps: Swaps  # of two heads on one backbone
    backbone_swaps: Swaps  # of two backbones: each loads and compiles a whole network


def measure(model: Model, uploads: Sequence[Upload], folder: Path) -> Retraining:
    """Measure everything, with a service on the version's store."""
    name, version = model.name, model.version
    settings = {
        "CATDOG_MODELS_DIR": str(version.path.parent),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_ADMIN_KEY": KEY,
    }
    folder.mkdir()
    other = versions.with_another_backbone(version).number
    with running(python("app"), settings, folder) as process:
        with Client(process.port) as client:
            process.seconds_until(lambda: client.succeeds("/health/ready"))
            rate = client.load(uploads, cycle(range(len(uploads))), CAPACITY_SECONDS).requests_a_second / 2
        teacher = Teacher(process.port)
        jobs = _jobs(teacher)
        print(f"{name}: jobs {jobs.first:.1f}, {jobs.again:.1f}, {jobs.with_new:.1f} s; {jobs.decision}", flush=True)
        training = _beside_training(process.port, teacher, uploads, rate, folder)
        print(f"{name}: p99 beside a training {training.ratio:.2f} times", flush=True)
        newest = max(each["version"] for each in teacher.ask("GET", "/models")["versions"])
        heads, backbones = (_swaps(process, teacher, uploads, rate, (version.number, to)) for to in (newest, other))
        ratios = f"{heads.predictions.ratio:.2f} and {backbones.predictions.ratio:.2f}"
        print(f"{name}: p99 across swaps of heads and of backbones {ratios} times", flush=True)
        return Retraining(name, model.is_full_width, jobs, training, heads, backbones)


def _jobs(teacher: Teacher) -> Jobs:
    train = {label: sorted((PHOTOS / "train" / label).iterdir()) for label in ("cat", "dog")}
    new = {label: sorted((PHOTOS / "validation" / label).iterdir())[: NEW_PHOTOS // 2] for label in train}
    teacher.upload(DATASET, train)
    first, _ = teacher.retrain(dataset=DATASET)
    again, _ = teacher.retrain(dataset=DATASET)
    teacher.upload(DATASET, new)
    with_new, job = teacher.retrain(dataset=DATASET)
    return Jobs(sum(map(len, train.values())), first, again, NEW_PHOTOS, with_new, job["reason"])


def _beside_training(port: int, teacher: Teacher, uploads: Sequence[Upload], rate: float, folder: Path) -> Beside:
    """Predictions during a job that computes the features of every photo again."""
    before = _alone(port, uploads, rate)
    shutil.rmtree(folder / "data" / "features")
    with OpenLoop(port, uploads, rate) as load:
        teacher.retrain(dataset=DATASET, promote="never")
    return _compared(rate, [*before, *_alone(port, uploads, rate)], load.answered)


def _swaps(process: Process, teacher: Teacher, uploads: Sequence[Upload], rate: float, pair: tuple[int, int]) -> Swaps:
    """Alternating promotions of the second version and rollbacks to the first, at intervals."""
    expected = {version: _answers(process.port, teacher, version, uploads) for version in reversed(pair)}
    before = _alone(process.port, uploads, rate)
    warm = 0
    with OpenLoop(process.port, uploads, rate) as load:
        for number in range(SWAPS):
            due = perf_counter() + SWAP_SECONDS
            teacher.ask("POST", "/rollback" if number % 2 else f"/models/{pair[1]}/promote")
            Event().wait(max(0.0, due - perf_counter()))
            if number == WARM_SWAPS:
                warm = _resident(process)
    end = _resident(process)
    predictions = _compared(rate, [*before, *_alone(process.port, uploads, rate)], load.answered)
    return Swaps(SWAPS, predictions, _wrong(load.answered, expected), warm, end)


def _answers(port: int, teacher: Teacher, version: int, uploads: Sequence[Upload]) -> Mapping[int, Mapping[str, float]]:
    """Promote a version and return its probabilities by the photo's index."""
    teacher.ask("POST", f"/models/{version}/promote")
    with Client(port) as client:
        answers = [json.loads(client.predict(upload) or b"{}") for upload in uploads]
    if any(answer["model_version"] != version for answer in answers):
        raise BenchmarkError(f"version {version} was promoted, but another version answered")
    return {place: answer["probabilities"] for place, answer in enumerate(answers)}


def _alone(port: int, uploads: Sequence[Upload], rate: float) -> Sequence[Answered]:
    with OpenLoop(port, uploads, rate) as load:
        Event().wait(ALONE_SECONDS)
    return load.answered


def _compared(rate: float, alone: Sequence[Answered], beside: Sequence[Answered]) -> Beside:
    failures = sum(one.answer is None for one in (*alone, *beside))
    return Beside(rate, len(beside), failures, p99_milliseconds(alone), p99_milliseconds(beside))


def _wrong(answered: Sequence[Answered], expected: Mapping[int, Mapping[int, Mapping[str, float]]]) -> int:
    def is_wrong(one: Answered) -> bool:
        said = expected[one.version][one.place]
        return any(abs(one.probabilities[name] - said[name]) > SAME for name in said)

    return sum(one.answer is not None and is_wrong(one) for one in answered)


def _resident(process: Process) -> int:
    measured = process.memory_bytes()
    if measured is None:
        raise BenchmarkError("the service's memory can't be measured without /proc")
    return measured[0]
