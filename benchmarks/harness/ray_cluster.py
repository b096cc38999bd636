"""Starts a Ray cluster of three nodes on this machine, in its own environment, and kills nodes."""

import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.environments import interpreter
from benchmarks.harness.processes import ROOT, BenchmarkError

NODES = 3
PROGRAM = Path(__file__).with_name("ray_nodes.py")
REQUIREMENTS = ROOT / "tests" / "clients" / "ray.txt"


@dataclass(frozen=True)
class Cluster:
    """NODES nodes, and the Python and the environment variables of programs that use them."""

    python: Path
    variables: Mapping[str, str]
    address: str
    process: subprocess.Popen[str]

    def kill_a_node(self) -> None:
        """Kill a node, not the first one; another is added."""
        assert self.process.stdin is not None  # noqa: S101
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        if _line(self.process) != "killed":
            raise BenchmarkError("the cluster ended")


@contextmanager
def cluster(cores: int = 1, variables: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """Run a cluster of nodes with this many cores each, whose programs also get `variables`; BenchmarkError.

    Installs Ray and the trainer the first time, 2.7 GB.
    """
    python = interpreter(".venv-ray", REQUIREMENTS, ROOT)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {"PYTHONPATH": str(ROOT), **token, **(variables or {})}
    with subprocess.Popen(
        [python, PROGRAM, str(cores), str(NODES)],
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:  # its end closes the input, which ends the cluster
        address = _line(process)
        if not address:
            raise BenchmarkError("the cluster doesn't start")
        yield Cluster(python, environment, address, process)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # noqa: S101
    return process.stdout.readline().strip()
