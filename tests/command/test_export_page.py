"""Every command in docs/12-export-and-import.md, as a user types it."""

import subprocess
import sys
from pathlib import Path

import pytest

from catdog.versions.store import Store
from tests.command.running import Catdog
from tests.newcomer import blocks
from tests.photos import draw_splits
from tests.places import ROOT
from training.fitting.config import Config
from training.fitting.observer import Terminal
from training.publishing.pipeline import Request, train

PAGE = (ROOT / "docs" / "12-export-and-import.md").read_text("utf-8")


@pytest.mark.whole
def test_every_line_of_the_page_works_as_typed(tmp_path: Path) -> None:
    photos = draw_splits(tmp_path / "photos", 8, 4, 4)
    config = Config(backbone="random", width=1 / 32)
    train(Request(config, photos, command=""), Store(tmp_path / "models"), tmp_path / "data", Terminal())
    catdog = Catdog(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "catdog").write_text(f'#!/bin/sh\nexec {sys.executable} -m command "$@"\n')
    (tmp_path / "bin" / "catdog").chmod(0o755)
    catdog.environment["PATH"] = f"{tmp_path / 'bin'}:{catdog.environment['PATH']}"
    lines = [line for block in blocks(PAGE) for line in block.splitlines() if not line.startswith("pip ")]
    assert len(lines) >= 10

    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env=catdog.environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"

    assert {"catdog-1.onnx", "phone.tflite", "catdog-1-openvino"} <= {path.name for path in tmp_path.iterdir()}
