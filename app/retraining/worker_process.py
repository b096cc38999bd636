"""Starts, watches and stops the processes that run jobs."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import invalidate_caches
from importlib.util import find_spec
from typing import NamedTuple, Protocol
from uuid import uuid4

from app.errors import TrainerMissing
from app.settings import Settings
from app.telemetry.instruments import METRICS_FOLDER
from catdog.jobs.job import Kind
from catdog.system import resources
from catdog.system.location import absolute

STOP_SECONDS = 10.0  # for a worker to end after SIGTERM
# Import names of what training needs in addition to serving: the extra `fit`.
NEEDED = ("keras", "matplotlib", "nncf", "safetensors", "scipy", "sklearn", "threadpoolctl", "tqdm")
CANNOT_RUN = 2  # exit status of a worker that lacks a library, or whose library can't be imported
UNIMPORTABLE = "a library that its worker needs can't be imported here; run `make trainer`"
# The settings that answers of a batch depend on.
OF_ANSWERS = ("engine", "precision", "decoding_bytes", "unknown_keep", "max_upload_bytes")
KILLED = "its worker was killed (signal 9), perhaps because memory ran out"


class Program(NamedTuple):
    """A worker's command line, after that of Python, and the file in the data folder with its output.

    Logs of jobs have their own files. `check` raises TrainerMissing if the program can't run here.
    """

    words: tuple[str, ...]
    log: str
    check: Callable[[], None]


class RunStatus(NamedTuple):
    """State of a worker; `death` is the reason if it ended abnormally."""

    is_running: bool
    death: str | None = None


class Runner(Protocol):
    """Runs workers, identified by name. A worker runs the queued jobs, and then ends."""

    def check(self) -> None:
        """Raise TrainerMissing if the trainer isn't installed."""
        ...

    def launch(self) -> str:
        """Start a worker and return its name; raises TrainerMissing."""
        ...

    def status(self, worker: str) -> RunStatus: ...

    def stop(self, worker: str) -> None:
        """End the worker, by force if it takes longer than STOP_SECONDS; return once it has ended."""
        ...


class LocalProcess:
    """Runs workers as local processes, each in a process group of its own, so that Ctrl-C doesn't reach them.

    It isn't a session of its own: where Linux shares the cores evenly between sessions (`sched_autogroup_enabled`), the
    low priority of a worker wouldn't count against the service.
    A worker ends when its standard input does. This process holds the other end, so that no worker outlives it, however
    it ends.
    """

    def __init__(self, settings: Settings, program: Program) -> None:
        self._settings = settings
        self._program = program
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def check(self) -> None:
        self._program.check()

    def launch(self) -> str:
        self.check()
        worker = f"process-{uuid4().hex[:12]}"
        command = [sys.executable, *self._program.words, "--name", worker]
        log = self._settings.data_dir / self._program.log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output, resources.unconfined():
            self._processes[worker] = subprocess.Popen(  # noqa: S603  # our own program; nothing in it comes from a request
                command,
                env=_environment(self._settings),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        return worker

    def status(self, worker: str) -> RunStatus:
        code = self._processes[worker].poll()
        if code is not None:
            _close(self._processes[worker])
        return RunStatus(is_running=code is None, death=_death(code, self._program.log))

    def stop(self, worker: str) -> None:
        process = self._processes[worker]
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close(process)


def check_installed() -> None:
    """Raise TrainerMissing unless this environment can train; finds a trainer installed since the start."""
    invalidate_caches()
    if any(find_spec(package) is None for package in NEEDED):
        raise TrainerMissing


_WORKER = ("-m", "training", "worker", "--until-idle", "--end-with-stdin", "--kind")
TRAINER = Program((*_WORKER, Kind.TRAINING), log="worker.log", check=check_installed)
COMPARER = Program((*_WORKER, Kind.COMPARISON), log="comparisons.log", check=check_installed)


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()


def _death(code: int | None, log: str) -> str | None:
    if not code:
        return None
    if code == -signal.SIGKILL:
        return KILLED
    if code < 0:
        return f"its worker ended by {signal.Signals(-code).name}"
    if code == CANNOT_RUN:
        return f"{UNIMPORTABLE} ({log} in the data folder names it)"
    return f"its worker ended with exit status {code}; see {log} in the data folder"


def _environment(settings: Settings) -> dict[str, str]:
    """The environment of a worker, whose numbers aren't in the metrics of the service."""
    ours = {name: value for name, value in os.environ.items() if name != METRICS_FOLDER}
    return ours | _variables(settings)


def _variables(settings: Settings) -> dict[str, str]:
    """Environment variables of the settings that a worker shares with the service."""
    shared = {
        "CATDOG_MODELS_DIR": absolute(settings.models_dir),
        "CATDOG_DATA_DIR": settings.data_dir.absolute(),
        "CATDOG_PICTURES": settings.pictures and absolute(settings.pictures),
        "CATDOG_DATABASE_URL": settings.database_url,
        "CATDOG_WORKER": settings.worker,
        "CATDOG_RAY_ADDRESS": settings.ray_address,
        "CATDOG_TRAIN_THREADS": settings.train_threads,
        "CATDOG_KEEP_VERSIONS": settings.keep_versions,
        "CATDOG_IMAGENET_WEIGHTS": settings.imagenet_weights and settings.imagenet_weights.absolute(),
        **{f"CATDOG_{name.upper()}": getattr(settings, name) for name in OF_ANSWERS},
    }
    return {name: str(value) for name, value in shared.items() if value is not None}
