"""Remarks of native code are hidden while a library is imported, and nothing else is."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT

IMPORTING = (
    "import os, sys\n"
    f"sys.path[:0] = [{str(ROOT)!r}, '.']\n"
    "from catdog.system import quiet_import\n"
    "quiet_import.hide('chatty', '^(remark|advice) ')\n"
)


def printed(folder: Path, library: str, program: str) -> tuple[int, str]:
    """The exit status and stderr of a program that has a library called `chatty`."""
    (folder / "chatty.py").write_text(f"import os, sys\n{library}")
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTING + program], cwd=folder, stderr=subprocess.PIPE, encoding="utf-8", timeout=60
    )
    return ran.returncode, ran.stderr


def test_remarks_are_hidden_and_other_lines_are_printed(tmp_path: Path) -> None:
    library = "os.write(2, b'remark 1\\nwarning 2\\nadvice 3\\n')"

    assert printed(tmp_path, library, "import chatty") == (0, "warning 2\n")


def test_after_the_import_everything_is_printed(tmp_path: Path) -> None:
    status, stderr = printed(
        tmp_path, "", "import chatty\nos.write(2, b'remark 1\\n')\nprint('advice 2', file=sys.stderr)"
    )

    assert (status, stderr) == (0, "remark 1\nadvice 2\n")


def test_the_last_words_of_an_import_that_aborts_are_printed(tmp_path: Path) -> None:
    status, stderr = printed(tmp_path, "os.write(2, b'remark 1\\nno such instruction\\n'); os.abort()", "import chatty")

    assert status != 0
    assert stderr == "no such instruction\n"


def test_an_import_that_fails_says_why(tmp_path: Path) -> None:
    status, stderr = printed(
        tmp_path, "os.write(2, b'remark 1\\n')\nraise ImportError('not built for this')", "import chatty"
    )

    assert status == 1
    assert stderr.endswith("ImportError: not built for this\n")
    assert "remark 1\n" not in stderr


def test_without_grep_everything_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert printed(tmp_path, "os.write(2, b'remark 1\\n')", "import chatty") == (0, "remark 1\n")


def test_tensorflow_is_imported_without_remarks_on_how_it_was_built() -> None:
    program = "import training.__main__, tensorflow"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, encoding="utf-8", timeout=300
    )

    assert (ran.returncode, ran.stderr) == (0, "")
