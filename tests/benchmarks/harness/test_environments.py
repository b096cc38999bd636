import base64
import hashlib
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from benchmarks.harness import environments
from benchmarks.harness.processes import ROOT, BenchmarkError


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """A requirements file that pins a package in the same folder."""
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    files = {
        "tiny.py": "SIZE = 1",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{name},sha256={_digest(text)},{len(text)}" for name, text in files.items()]
    files["tiny-1.0.dist-info/RECORD"] = "\n".join([*record, "tiny-1.0.dist-info/RECORD,,", ""])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    pinned = tmp_path / "requirements.txt"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    pinned.write_text(f"--no-index\n--find-links {tmp_path}\ntiny==1.0 --hash=sha256:{digest}\n")
    return pinned


def test_an_environment_holds_what_is_pinned_and_is_kept_until_that_changes(requirements: Path, tmp_path: Path) -> None:
    def made() -> tuple[Path, int]:
        python = environments.interpreter("small", requirements, tmp_path / "environments")
        return python, (python.parents[1] / environments.STAMP).stat().st_mtime_ns

    python, first = made()
    imported = subprocess.run([python, "-c", "import tiny; print(tiny.SIZE)"], capture_output=True, check=True)
    _, again = made()
    requirements.write_text("--no-index\n", encoding="utf-8")
    _, changed = made()

    assert imported.stdout == b"1\n"
    assert again == first
    assert changed != first
    assert subprocess.run([python, "-c", "import tiny"], capture_output=True, check=False).returncode == 1


def test_an_environment_that_can_not_be_made_is_said_and_tried_anew(requirements: Path, tmp_path: Path) -> None:
    sound = requirements.read_text(encoding="utf-8")
    requirements.write_text(sound.replace("tiny==1.0", "tiny==2.0"), encoding="utf-8")

    for _ in range(2):
        with pytest.raises(BenchmarkError, match=r"(?s)uv pip failed.*tiny"):
            environments.interpreter("small", requirements, tmp_path / "environments")
    requirements.write_text(sound, encoding="utf-8")

    assert environments.interpreter("small", requirements, tmp_path / "environments").exists()


def test_environments_are_no_part_of_the_repository() -> None:
    place = os.path.relpath(environments.FOLDER / "catdog", ROOT)

    assert subprocess.run(["git", "check-ignore", "-q", place], cwd=ROOT, check=False).returncode == 0


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
