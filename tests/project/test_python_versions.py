"""All files state the same ranges of Python versions for serving and for training."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from app.diagnostics import SERVES_ON, TRAINS_ON
from tests.places import ROOT

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def of_makefile(name: str) -> str:
    found = re.search(rf"^{name} := (.+)$", MAKEFILE, re.MULTILINE)
    assert found
    return found[1]


def minor(version: str) -> int:
    return int(version.split(".")[1])


def test_every_file_states_the_same_range() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    classified = [name.rpartition(" ")[2] for name in PROJECT["classifiers"]]

    assert (of_makefile("OLDEST"), of_makefile("NEWEST")) == SERVES_ON
    assert (of_makefile("OLDEST"), of_makefile("NEWEST_TRAINER")) == TRAINS_ON
    assert f"Python {' to '.join(SERVES_ON)} and make" in readme
    assert f"(Python {' to '.join(TRAINS_ON)}:" in readme
    assert PROJECT["requires-python"] == f">={SERVES_ON[0]},<3.{minor(SERVES_ON[1]) + 1}"
    assert classified == [f"3.{number}" for number in range(minor(SERVES_ON[0]), minor(SERVES_ON[1]) + 1)]


def test_training_asks_for_tensorflow_only_where_it_can_be_had() -> None:
    extras = PROJECT["optional-dependencies"]
    asked = [need for need in (*extras["train"], *extras["gpu"]) if need.startswith("tensorflow")]

    assert len(asked) == 3
    assert [need for need in asked if f"python_version < '3.{minor(TRAINS_ON[1]) + 1}'" not in need] == []


def python_of(folder: Path, version: str, system: str = "Linux", machine: str = "x86_64") -> Path:
    """A fake Python that reports another version."""
    disguise = (
        f"import platform, sys; platform.python_version = lambda: {version!r};"
        f" platform.system = lambda: {system!r}; platform.machine = lambda: {machine!r}; exec(sys.argv.pop(1))"
    )
    file = folder / "python"
    file.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -c "{disguise}" "$@"\n')
    file.chmod(0o755)
    return file


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("version", "system", "refusal"),
    [
        ("3.10.13", "Linux", "catdog needs Python 3.11 to 3.14, and this is 3.10.13"),
        ("3.15.0rc1", "Linux", "catdog needs Python 3.11 to 3.14, and this is 3.15.0rc1"),
        ("3.12.1", "Darwin", "catdog does not run on Macs with Intel processors"),
    ],
)
def test_make_refuses_where_there_are_no_wheels(tmp_path: Path, version: str, system: str, refusal: str) -> None:
    python = python_of(tmp_path, version, system)
    command = ["make", "serve", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"]

    made = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)

    assert made.returncode != 0
    assert refusal in made.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_refuses_to_install_the_trainer_on_a_python_that_only_serves(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    python_of(tmp_path / "venv" / "bin", "3.14.1")
    (tmp_path / "venv" / ".python").touch()

    made = subprocess.run(
        ["make", "trainer", f"VENV={tmp_path / 'venv'}"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )

    assert "training needs Python 3.11 to 3.13, and this is 3.14.1" in made.stderr
