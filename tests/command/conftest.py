"""What the tests of `command` share."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.app.service import publish
from tests.command.running import Catdog
from tests.newcomer import tracked_files
from tests.places import ROOT


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one version of a tiny network."""
    path = tmp_path_factory.mktemp("models")
    publish(path)
    return path


@pytest.fixture
def catdog(models_dir: Path, tmp_path: Path) -> Catdog:
    return Catdog(tmp_path, models_dir)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script `catdog` in an environment into which `pip` installed the wheel of this checkout.

    The packages that catdog needs are those of the environment that runs the tests.
    """
    folder = tmp_path_factory.mktemp("installed")
    for name in tracked_files():
        (folder / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / "checkout" / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheels = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "checkout"]
    subprocess.run([*pip, *map(str, wheels)], check=True)
    shutil.rmtree(folder / "checkout")
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    packages = sysconfig.get_path("purelib", vars={"base": str(folder / "venv"), "platbase": str(folder / "venv")})
    (Path(packages) / "needed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True)
    return folder / "venv" / "bin" / "catdog"
