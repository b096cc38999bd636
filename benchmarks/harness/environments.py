"""Makes an environment of pinned packages for each measured system."""

import subprocess
import sys
from pathlib import Path

from benchmarks.harness.processes import ROOT, BenchmarkError

FOLDER = ROOT / ".venv-bench"
STAMP = "made-of.txt"  # what an environment was made of; written last
SAID_LINES = 5  # of what uv said, shown where it failed


def interpreter(name: str, requirements: Path, folder: Path = FOLDER) -> Path:
    """The Python of the environment `name`, made anew where the requirements have changed; BenchmarkError if it can't.

    `requirements` pins every package by its hash.
    """
    environment = folder / name
    python = environment / "bin" / "python"
    made_of = f"# {sys.version}\n{requirements.read_text('utf-8')}"
    stamp = environment / STAMP
    if not stamp.is_file() or stamp.read_text("utf-8") != made_of:
        print(f"making the environment {name}", flush=True)
        _uv("venv", "--clear", "--python", sys.executable, environment)
        options = ("--require-hashes", "--compile-bytecode")  # as pip does, and a later start finds
        _uv("pip", "install", "--python", python, *options, "--requirements", requirements)
        stamp.write_text(made_of, "utf-8")
    return python


def _uv(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join(done.stderr.splitlines()[-SAID_LINES:])
        raise BenchmarkError(f"uv {arguments[0]} failed: {said}")
