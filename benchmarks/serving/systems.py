"""The compared systems, each with its environment."""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness.processes import ROOT, BenchmarkError, python
from catdog.versions.version import Version

FOLDER = ROOT / ".venv-bench"
STAMP = "made-of.txt"  # the requirements of an environment; written last
SAID_LINES = 5  # of uv's output, shown if it failed


def interpreter(name: str, requirements: Path, folder: Path = FOLDER) -> Path:
    """The Python of the environment `name`, made again if the requirements have changed; BenchmarkError if that fails.

    `requirements` pins every package by its hash.
    """
    environment = folder / name
    python = environment / "bin" / "python"
    made_of = f"# {sys.version}\n{requirements.read_text('utf-8')}"
    stamp = environment / STAMP
    if not stamp.is_file() or stamp.read_text("utf-8") != made_of:
        print(f"making the environment {name}", flush=True)
        _uv("venv", "--clear", "--python", sys.executable, environment)
        options = ("--require-hashes", "--compile-bytecode")  # like pip, so that starts find bytecode
        _uv("pip", "install", "--python", python, *options, "--requirements", requirements)
        stamp.write_text(made_of, "utf-8")
    return python


def _uv(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join(done.stderr.splitlines()[-SAID_LINES:])
        raise BenchmarkError(f"uv {arguments[0]} failed: {said}")


TUTORIAL, OURS = "tutorial's way", "catdog"
BATCHING = {
    "LitServe": "litserve",
    "BentoML": "bentoml",
    "Ray Serve": "rayserve",
}  # by their package in benchmarks.peers
PEERS = {TUTORIAL: "tutorial", **BATCHING}
DISTRIBUTIONS = {"LitServe": "litserve", "BentoML": "bentoml", "Ray Serve": "ray"}


@dataclass(frozen=True)
class System:
    """A system that serves; `health` is the address that answers 200 when it is ready, if it has one."""

    name: str
    command: list[str]
    settings: Mapping[str, str] = field(default_factory=dict)
    health: str | None = None


def peer(name: str, version: Version, folder: Path) -> System:
    """One of PEERS, with its environment; BenchmarkError if that can't be made. `folder` is for its files."""
    package = PEERS[name]
    command = python(
        f"benchmarks.peers.{package}.service", version.path, interpreter=interpreter(package, _requirements(name))
    )
    quiet = {"RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0", "BENTOML_DO_NOT_TRACK": "True"}
    return System(name, command, quiet)


def pinned(name: str) -> str:
    """A peer's package with its version; the tutorial's way has no package and runs Keras."""
    distribution, text = DISTRIBUTIONS.get(name, "keras"), _requirements(name).read_text("utf-8")
    found = re.search(rf"^{distribution}==(\S+)", text, re.MULTILINE)
    return f"{distribution} {found[1]}" if found else distribution


def _requirements(name: str) -> Path:
    return ROOT / "benchmarks" / "peers" / PEERS[name] / "requirements.txt"


def our_interpreter() -> Path:
    """The Python of an environment with only the packages for serving."""
    return interpreter("catdog", ROOT / "requirements" / "serve.txt")


def ours(version: Version, interpreter: Path, settings: Mapping[str, str]) -> System:
    """The service as started by `make serve`, with `settings`."""
    models = {"CATDOG_MODELS_DIR": str(version.path.parent)}
    return System(OURS, python("app", interpreter=interpreter), {**models, **settings}, health="/health/ready")
