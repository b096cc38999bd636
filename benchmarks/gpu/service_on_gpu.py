"""Compares the service on a GPU with its engine alone.

It writes a page below benchmarks/results after every round, and prints it at the end. Failed measurements are noted,
and the others continue. It also runs without a GPU; the service then infers photos one by one.
"""

import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from platform import python_version
from tempfile import TemporaryDirectory

import httpx

from benchmarks.gpu import watched_service
from benchmarks.gpu.pages import Measured, Page, Sample
from benchmarks.gpu.watched_service import Service
from benchmarks.harness import photos, versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import PREDICT, Upload
from benchmarks.harness.processes import ROOT, python, running
from benchmarks.load.crowd import PROCESSES, Crowd, Requests
from benchmarks.serving.rounds import start
from benchmarks.serving.systems import ours
from catdog.features import libraries
from catdog.versions.store import SHIPPED, Store
from catdog.versions.version import Version
from training.publishing.lineage import BACKENDS

FULL = "full"
SIZES = (1, 8, 64)  # of the engine's batches, and numbers of clients
BATCH, BATCH_CLIENTS, FILES = f"{PREDICT}/batch", 8, 16
QUEUE = max(*SIZES, BATCH_CLIENTS * FILES)  # photos; large enough that none is refused
DIFFERENT = 64  # largest number of different photos
VARIABLES = {  # used unless already set
    "KERAS_BACKEND": "tensorflow",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the engine alone and the service share the GPU
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}


@dataclass(frozen=True)
class Plan:
    """How a model is measured; `written` is called when there are new results."""

    rounds: int
    seconds: float
    folder: Path
    crowd: Crowd
    written: Callable[[], object]


Parts = Iterator[tuple[str, Callable[[int], Sample]]]  # name, and function of the round's number


def measure(version: Version, measured: Measured, plan: Plan) -> None:
    """Fill `measured`, with all parts in every round."""
    with ExitStack() as stack:
        parts = dict(alone(version, measured, plan, stack))
        with noted("the service", measured):
            parts |= dict(through_http(version, measured, plan, stack))
        parts |= dict(decoding(plan))
        for number in range(plan.rounds):
            for what, part in parts.items():
                with noted(what, measured):
                    sample = part(number)
                    measured.samples.setdefault(what, []).append(sample)
            plan.written()


@contextmanager
def noted(what: str, measured: Measured) -> Iterator[None]:
    """Note failures and continue: time on a GPU may be limited, and one part must not waste it."""
    try:
        yield
    except Exception as error:
        if (note := f"{what} failed: {error!r}") not in measured.notes:
            measured.notes.append(note)


def alone(version: Version, measured: Measured, plan: Plan, stack: ExitStack) -> Parts:
    """The engine in a separate process."""
    process = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
    with noted("Keras", measured):
        measured.notes.append(process.submit(watched_service.computes_with).result())

    def infer(size: int, number: int) -> Sample:
        return Sample(process.submit(watched_service.photos_a_second, version.path, size, plan.seconds).result())

    for size in SIZES:
        yield f"engine alone, batches of {size}", partial(infer, size)


def through_http(version: Version, measured: Measured, plan: Plan, stack: ExitStack) -> Parts:
    """Start the service, and note how long that took."""
    system = ours(version, Path(sys.executable), _settings(plan.folder))
    process = stack.enter_context(running(system.command, system.settings, plan.folder))
    ready, _ = start(system, process, Upload.of(photos.photos()[0]))
    measured.notes.append(f"the service was ready after {ready:.0f} s")
    service = Service(process, plan.crowd)
    service.measure(PREDICT, max(SIZES), 1, 0, seed=0)  # the first answers take longer

    def ask(kind: str, clients: int, files: int, number: int) -> Sample:
        return service.measure(kind, clients, files, plan.seconds, seed=PROCESSES * number)

    for clients in SIZES:
        yield f"`{PREDICT}`, {_clients(clients)}", partial(ask, PREDICT, clients, 1)
    yield f"`{BATCH}`, {_clients(BATCH_CLIENTS)}, {FILES} photos each", partial(ask, BATCH, BATCH_CLIENTS, FILES)


def _clients(number: int) -> str:
    return f"{number} client{'s' * (number > 1)}"


def decoding(plan: Plan) -> Parts:
    """Decoding alone, with as many threads as cores."""

    def decode(number: int) -> Sample:
        command = python("benchmarks.serving.limits", str(plan.seconds))
        return Sample(float(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout))

    yield "decoding alone", decode


def _settings(folder: Path) -> dict[str, str]:
    """Environment variables of the service."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {
        "KERAS_BACKEND": os.environ["KERAS_BACKEND"],
        "PYTHONPATH": path,
        "CATDOG_ENGINE": "keras",
        "CATDOG_PRECISION": "auto",
        "CATDOG_QUEUE_ITEMS": str(QUEUE),
        "CATDOG_DATA_DIR": str(folder / "data"),
    }


def requests() -> Requests:
    """Requests of both kinds, with the same photos."""
    sent = photos.photos()[:DIFFERENT]
    turn = cycle(sent)
    batches = [list(islice(turn, FILES)) for _ in range(max(1, len(sent) // FILES))]
    return {PREDICT: [Upload.of(photo).request for photo in sent], BATCH: list(map(_upload, batches))}


def _upload(sent: Sequence[bytes]) -> bytes:
    """The bytes of the request."""
    files = [("file", ("photo.jpg", photo, "image/jpeg")) for photo in sent]
    form = httpx.Request("POST", f"http://127.0.0.1{BATCH}", files=files)
    body = form.read()
    lines = [f"POST {BATCH} HTTP/1.1", *(f"{name}: {value}" for name, value in form.headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def model(name: str, folder: Path) -> Version:
    """VGG16 with random arrays, or a copy of the version in the folder `name`: the champion of a store in `folder`."""
    if name == FULL:
        return versions.random(1.0, folder)
    path = Path(name).resolve()
    shutil.copytree(path, folder / path.name)
    number = int(path.name)
    if number != SHIPPED:
        Store(folder).promote(number)
    return Store(folder).open(number)


def machine() -> tuple[str, str]:
    """The accelerator and the processor."""
    here = Machine.this()
    processor = f"{here.cores} cores of {here.processor}"
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        said = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout.splitlines()
        return said[0].strip(), processor
    return here.processor, processor


def page(arguments: Namespace, measured: Sequence[Measured]) -> Page:
    """An empty page for this run."""
    device, processor = machine()
    names = ("keras", *BACKENDS[os.environ["KERAS_BACKEND"]], "fastapi", "uvicorn", "pillow", "numpy")
    packages = ", ".join(f"{name} {number}" for name, number in libraries(names).items())
    about = {
        "Backend": os.environ["KERAS_BACKEND"],
        "Processor": processor,
        "Libraries": f"Python {python_version()}, {packages}",
        "Measured": f"medians of {arguments.rounds} rounds of {arguments.seconds:g} s for each number;"
        f" {photos.described()}; clients in {PROCESSES} processes; latencies are of requests; room in the queue for"
        f" {QUEUE} photos",
    }
    return Page(datetime.now(UTC).date(), device, about, measured)


def run(arguments: Namespace, folder: Path, crowd: Crowd) -> str:
    """Measure all models; returns the text of the final page."""
    measured: list[Measured] = []
    shown = page(arguments, measured)
    slug = re.sub("[^a-z0-9]+", "-", shown.where.lower()).strip("-")
    base = arguments.results / f"{shown.day}-{slug}-gpu-{os.environ['KERAS_BACKEND']}"
    for number, name in enumerate(arguments.models):
        measured.append(found := Measured(name))
        with noted(name, found):
            version = model(name, folder / f"models-{number}")
            found.model = f"VGG16 at width {version.manifest.width:g}"
            aside = folder / f"service-{number}"
            aside.mkdir()
            measure(version, found, Plan(arguments.rounds, arguments.seconds, aside, crowd, partial(shown.write, base)))
    return shown.write(base).read_text("utf-8")


def main() -> None:
    parser = ArgumentParser("python -m benchmarks.gpu.service_on_gpu", description="Measures the service on a GPU.")
    shipped = ROOT / "models" / str(SHIPPED)
    parser.add_argument("models", nargs="*", help=f"folders of versions, or `{FULL}`: VGG16 with random arrays")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(default 3)")
    parser.add_argument(
        "--seconds", type=float, default=1.2, metavar="S", help="duration of each measurement (default 1.2)"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", metavar="DIR")
    arguments = parser.parse_args()
    arguments.models = arguments.models or [FULL, str(shipped)]
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    with TemporaryDirectory(prefix="catdog-gpu-") as folder, Crowd(requests()) as crowd:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(folder) / "compiled"))  # nothing is compiled twice
        print(run(arguments, Path(folder), crowd))


if __name__ == "__main__":
    main()
