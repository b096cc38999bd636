"""`python -m app doctor`: reports which settings, engine and model would be used here, and why."""

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from tempfile import TemporaryFile
from typing import NamedTuple

from app import admission, environment
from app.errors import MIB, TrainerMissing
from app.processes import launch
from app.retraining.worker_process import check_installed
from app.serving import engine_selection
from app.serving.engine_selection import Choice
from app.serving.loaded_model import LoadedModel
from app.serving.loader import load, read
from app.settings import Settings, SettingsError
from app.web.connections import default_limit, raise_open_file_limit
from catdog import __version__, cluster
from catdog.cluster import ClusterError
from catdog.database import Database
from catdog.errors import DatabaseUnavailable, StoreError, StoreUnavailable
from catdog.system import resources
from catdog.system.location import absolute
from catdog.versions.manifest import Manifest
from catdog.versions.store import Store

SERVES_ON = ("3.11", "3.14")  # the oldest and the newest Python for which every package has wheels
TRAINS_ON = ("3.11", "3.13")  # TensorFlow has no wheels for newer ones
PACKAGES = (
    "openvino",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "torch",
    "fastapi",
    "uvicorn",
    "numpy",
    "pillow",
    "cykooz-resizer",
)


class Finding(NamedTuple):
    """The result of one check; `is_well` is False if the service couldn't work."""

    what: str
    found: str
    is_well: bool = True


def main(settings: Settings) -> int:
    """Print every finding; return the exit status, 1 if a check failed."""
    is_well = True
    for finding in examine(settings):
        is_well = is_well and finding.is_well
        print(f"{finding.what:<10} {'' if finding.is_well else 'FAILED: '}{finding.found}")  # noqa: T201
    return 0 if is_well else 1


def examine(settings: Settings) -> Iterator[Finding]:
    """Run the checks in the order of their dependencies; the model is really loaded."""
    yield Finding("versions", ", ".join(_versions()))
    yield Finding("address", _address(settings))
    try:
        choice = engine_selection.choose(settings)
    except SettingsError as error:
        yield Finding("engine", str(error), is_well=False)
        return
    yield Finding("engine", f"{choice.engine}: {choice.reason}")
    yield Finding("device", _device(choice))
    yield Finding("processes", _processes(settings))
    yield Finding("threads", _threads(settings))
    yield Finding("limits", _limits(settings))
    yield from _model(settings.model_copy(update={"engine": choice.engine}))
    yield _folder(settings)
    yield _database(settings)
    yield Finding("training", _training(settings))


def _versions() -> Iterator[str]:
    yield f"catdog {__version__}"
    yield f"Python {platform.python_version()} (serving: {' to '.join(SERVES_ON)}, training: {' to '.join(TRAINS_ON)})"
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            yield f"{package} {version(package)}"


def _address(settings: Settings) -> str:
    why = environment.source_of_address() or "by default"
    return "; ".join([f"{settings.address} ({why})", *environment.passed_over()])


def _device(choice: Choice) -> str:
    if choice.engine == "keras":
        from catdog.engines.keras import device  # it imports a whole framework

        return device()
    import openvino

    return str(openvino.Core().get_property("CPU", "FULL_DEVICE_NAME"))


def _processes(settings: Settings) -> str:
    processes = launch.count(settings)
    cores = "with every core" if processes == 1 else f"which share {resources.usable_cores()} cores"
    why = "set by CATDOG_PROCESSES" if "processes" in settings.model_fields_set else "by default"
    return f"{processes}, {cores} ({why})"


def _threads(settings: Settings) -> str:
    if settings.threads:
        return f"{settings.threads}: set by CATDOG_THREADS"
    return f"{resources.usable_cores()}: the cores that this process may use, of {os.cpu_count()}"


def _limits(settings: Settings) -> str:
    limit = settings.max_connections or default_limit(raise_open_file_limit())
    return f"{admission.limit_bytes(settings) // MIB:,} MiB of request bodies in memory, {limit:,} connections"


def _model(settings: Settings) -> Iterator[Finding]:
    """Load the champion and check its answers, as at start-up."""
    try:
        found = Store(settings.models)
        opened = found.open(found.champion())
        champion = load(opened, read(opened, settings), settings)
    except (StoreError, StoreUnavailable, OSError, ValueError) as error:
        yield Finding("model", f"{absolute(settings.models_dir)}: {error}", is_well=False)
        return
    versions = ", ".join(map(str, found.versions()))
    yield Finding("model", f"{champion} of {absolute(settings.models_dir)}, which holds: {versions}")
    yield Finding("precision", f"{champion.engine.precision}: {_why(champion, settings)}")
    yield Finding("streams", f"{champion.engine.streams}: {_why_streams(settings)}")


def _why(champion: LoadedModel, settings: Settings) -> str:
    """Why the version runs in its precision."""
    if settings.precision != "auto":
        return "set by CATDOG_PRECISION"
    precision, quantization = champion.engine.precision, champion.manifest.quantization
    if precision == "int8" and quantization is not None:
        measured = f"{quantization.int8.accuracy:.2%}, in float32 {quantization.f32.accuracy:.2%}"
        return f"accuracy on {quantization.photos:,} validation photos: {measured}"
    where = "the device" if settings.engine == "keras" else "the processor"
    speed = f"{where} has {'' if precision == 'bf16' else 'no '}fast bfloat16 arithmetic"
    if settings.engine == "keras":
        return speed
    return f"{_why_not_int8(champion.manifest)}; {speed}"


def _why_not_int8(manifest: Manifest) -> str:
    if manifest.quantization is None:
        return manifest.unquantized or "it has no int8 graph"
    if manifest.quantization.serves:
        return "its int8 graph is damaged or missing"
    return manifest.quantization.reason


def _why_streams(settings: Settings) -> str:
    if settings.engine == "keras":
        return "a GPU infers whole batches"
    if settings.streams:
        return "set by CATDOG_STREAMS"
    return "the number of photos at a time that OpenVINO finds best here"


def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return Finding("data", f"{folder} can be written")
    except OSError as error:
        return Finding("data", f"{folder} can't be written ({error.strerror})", is_well=False)


def _training(settings: Settings) -> str:
    """What runs trainings; never a failure, because a service without a trainer still serves."""
    if settings.worker == "none":
        return "run by workers elsewhere: CATDOG_WORKER=none"
    try:
        check_installed()
    except TrainerMissing:
        return "not installed; run `make trainer` if this service is to retrain itself"
    started = "installed; this service starts it when a training is requested"
    if settings.worker != "ray":
        return started
    try:
        cluster.check_there(settings.ray_address)
    except ClusterError as error:
        return f"{started}, and would fail: {error}"
    return f"{started}, on the Ray cluster at {settings.ray_address}"


def _database(settings: Settings) -> Finding:
    where = "CATDOG_DATABASE_URL" if settings.database_url else "SQLite in the data folder"
    try:
        database = Database.of(settings.data_dir, settings.database_url)
        with database.reading():
            pass
        database.close()
    except (DatabaseUnavailable, OSError) as error:
        return Finding("database", f"{where}: {getattr(error, 'reason', error)}", is_well=False)
    return Finding("database", f"{where} answers")
