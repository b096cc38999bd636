"""The compared ways to serve, each with its environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import environments
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
    """A way to serve; `health` is the address that answers 200 once it is ready, where it has one."""

    name: str
    command: list[str]
    settings: Mapping[str, str] = field(default_factory=dict)
    health: str | None = None


def peer(name: str, version: Version, folder: Path) -> System:
    """One of PEERS, with its environment; BenchmarkError where that can't be made. `folder` is for what it leaves."""
    package = PEERS[name]
    interpreter = environments.interpreter(package, _requirements(name))
    command = python(f"benchmarks.peers.{package}.service", version.path, interpreter=interpreter)
    quiet = {"RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0", "BENTOML_DO_NOT_TRACK": "True"}
    return System(name, command, quiet)


def pinned(name: str) -> str:
    """The package that a peer is, with its version; the tutorial's way is none, and runs Keras."""
    distribution, text = DISTRIBUTIONS.get(name, "keras"), _requirements(name).read_text("utf-8")
    found = re.search(rf"^{distribution}==(\S+)", text, re.MULTILINE)
    return f"{distribution} {found[1]}" if found else distribution


def _requirements(name: str) -> Path:
    return ROOT / "benchmarks" / "peers" / PEERS[name] / "requirements.txt"


def our_interpreter() -> Path:
    """The Python that has what serving needs, and no more."""
    return environments.interpreter("catdog", ROOT / "requirements" / "serve.txt")


def ours(version: Version, interpreter: Path, settings: Mapping[str, str]) -> System:
    """The service as `make serve` starts it, but for `settings`."""
    models = {"CATDOG_MODELS_DIR": str(version.path.parent)}
    return System(OURS, python("app", interpreter=interpreter), {**models, **settings}, health="/health/ready")
