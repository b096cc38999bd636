"""The compared systems, each with its environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness.environments import interpreter
from benchmarks.harness.processes import ROOT, python
from catdog.versions.version import Version

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


def ours(version: Version, interpreter: Path, settings: Mapping[str, str]) -> System:
    """The service as started by `make serve`, with `settings`."""
    models = {"CATDOG_MODELS_DIR": str(version.path.parent)}
    return System(OURS, python("app", interpreter=interpreter), {**models, **settings}, health="/health/ready")
