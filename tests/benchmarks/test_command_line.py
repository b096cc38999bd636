import subprocess
from pathlib import Path

import pytest

from benchmarks.processes import ROOT, python


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 1, "benchmarks: there is no version 1; the store holds: none"),
        (["training"], 1, "benchmarks: there is no version 1; the store holds: none"),
        (["speed"], 2, "there is no speed; choose from serving, training"),
    ],
)
def test_what_can_not_be_measured_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], status: int, said: str
) -> None:
    command = python("benchmarks", *arguments, "--models", tmp_path)

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == status
    assert said in done.stderr.splitlines()[-1]
