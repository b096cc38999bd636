"""Commands without the libraries that they need, as after `make serve` alone."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from app.retraining.worker_process import NEEDED
from catdog import faults
from tests import without_libraries
from tests.places import ROOT


def run_without(libraries: tuple[str, ...], *command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """`python -m training` with an empty data folder and the shipped models, in a process of its own."""
    line = [sys.executable, without_libraries.__file__, ",".join(libraries), "-m", "training", "--data-dir", folder]
    return subprocess.run(
        [*map(str, line), *map(str, command)], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )


@pytest.mark.parametrize("command", ["train", "evaluate", "doctor", "quantize", "remember", "familiarize"])
def test_a_command_that_looks_at_photos_says_make_trainer(command: str, tmp_path: Path, split_photos: Path) -> None:
    said = run_without(without_libraries.TRAINER, command, "--data", split_photos, folder=tmp_path)

    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.count("\n") == 1
    assert "isn't installed; run `make trainer`" in said.stderr


def test_a_worker_says_make_trainer(tmp_path: Path) -> None:
    said = run_without(without_libraries.TRAINER, "worker", "--until-idle", folder=tmp_path)

    assert said.returncode == 2
    assert said.stderr == "catdog: this needs threadpoolctl, which isn't installed; run `make trainer`\n"


@pytest.mark.parametrize("command", ["versions", "summary"])
def test_a_command_that_only_reads_the_store_needs_no_trainer(command: str, tmp_path: Path) -> None:
    said = run_without(without_libraries.TRAINER, command, folder=tmp_path)

    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("library", ["numpy", "dotenv", "pydantic"])
def test_an_environment_with_nothing_in_it_is_named_too(library: str, tmp_path: Path) -> None:
    said = run_without((library,), "versions", folder=tmp_path)

    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == f"catdog: this needs {library}, which isn't installed; run `make trainer`\n"


def test_a_service_without_its_libraries_says_make_serve() -> None:
    line = [sys.executable, without_libraries.__file__, "uvicorn,fastapi", "-m", "app"]

    said = subprocess.run(line, cwd=ROOT, capture_output=True, encoding="utf-8", check=False, env={"CATDOG_PORT": "0"})

    assert said.returncode == 2
    assert said.stderr.startswith("catdog: serving needs ")
    assert said.stderr.endswith(", which isn't installed; run `make serve`\n")


def test_a_library_that_is_broken_is_named_without_its_trace() -> None:
    trace = "libcudart.so.12: cannot open shared object file\n\nTraceback (most recent call last):\n  ..."

    said = faults.missing_library(ImportError(trace, name="tensorflow.python"))

    assert said is not None
    assert said.startswith("tensorflow is installed, but can't be imported (libcudart.so.12: cannot open shared object")
    assert "Traceback" not in said
    assert "make clean trainer" in said


def test_a_module_of_catdog_s_own_is_no_matter_of_installation() -> None:
    assert faults.missing_library(ModuleNotFoundError("No module", name="training.nothing")) is None


def test_the_service_looks_for_everything_that_training_needs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {line.partition(">")[0].replace("scikit-learn", "sklearn") for line in extras["fit"]}

    assert set(NEEDED) == names
