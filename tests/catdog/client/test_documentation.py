"""The lines of docs/11-client.md, against a service that trains."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from catdog.client import errors
from catdog.versions.store import Store
from tests.app.service import ADMIN_KEY, serving
from tests.photos import draw_splits
from tests.places import ROOT
from training.fitting.config import Config
from training.fitting.observer import Terminal
from training.publishing.pipeline import Request, train

PAGE = (ROOT / "docs" / "11-client.md").read_text("utf-8")


@pytest.mark.whole
def test_the_lines_in_the_page_work_as_they_stand(tmp_path: Path) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    photos = draw_splits(tmp_path / "photos", 24, 6, 30)
    shutil.copy(photos / "test" / "cat" / "0.png", tmp_path / "cat.jpg")
    config = Config(backbone="random", width=1 / 32)
    train(
        Request(config, photos, command="", quantize=False), Store(tmp_path / "models"), tmp_path / "other", Terminal()
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admin.key").write_text(f"{ADMIN_KEY}\n")

    with serving(tmp_path / "models", data_dir=tmp_path / "data", worker="process") as service:
        mine = lines.replace("http://127.0.0.1:8000", str(service.client.base_url))
        done = subprocess.run(
            [sys.executable, "-c", mine],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, "")
    label, *answers = done.stdout.splitlines()
    assert label == "cat"
    assert set(answers[:120]) == {"cat", "dog"}
    *states, champion = answers[120:]
    assert states[0].startswith("queued")
    assert states[-1].startswith("succeeded")
    assert champion in {"1", "2"}


def test_every_exception_is_in_the_page() -> None:
    kinds = {kind.__name__ for kind in errors.ProblemError.__subclasses__()} | {errors.Unreachable.__name__}

    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == kinds
