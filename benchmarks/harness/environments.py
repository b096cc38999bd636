"""Makes virtual environments with pinned packages, for what is measured or tested apart from ours."""

import subprocess
import sys
from pathlib import Path

from benchmarks.harness.processes import ROOT, BenchmarkError

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


def for_serving() -> Path:
    """The Python of an environment with only the packages for serving."""
    return interpreter("catdog", ROOT / "requirements" / "serve.txt")


def _uv(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        said = "\n".join(done.stderr.splitlines()[-SAID_LINES:])
        raise BenchmarkError(f"uv {arguments[0]} failed: {said}")
