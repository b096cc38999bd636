"""Every command in docs/10-command-line.md, and those of the README, with the installed `catdog`."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.command.classify.tables import rows
from tests.command.running import Catdog
from tests.newcomer import blocks
from tests.object_store import fill, s3
from tests.photos import draw_set
from tests.places import ROOT

README = (ROOT / "README.md").read_text("utf-8")
PAGE = (ROOT / "docs" / "10-command-line.md").read_text("utf-8")


@pytest.mark.whole
def test_every_line_of_the_page_works_as_typed(installed: Path, tmp_path: Path) -> None:
    draw_set(tmp_path / "photos", 12)
    shutil.copy(tmp_path / "photos" / "cat" / "0.png", tmp_path / "cat.jpg")
    catdog = Catdog(tmp_path)
    catdog.environment["PATH"] = f"{installed.parent}:{catdog.environment['PATH']}"
    del catdog.environment["PYTHONPATH"]
    shutil.copytree(tmp_path / "photos", tmp_path / "bucket" / "photos")
    page = [line for block in blocks(PAGE) for line in block.splitlines()]
    (readme,) = (block.splitlines() for block in blocks(README) if block.startswith("pip"))
    assert page[0] == readme[0] == "pip install ."

    with s3() as server:
        fill(server, "my-bucket", tmp_path / "bucket")
        for line in (*readme[1:], "rm pets.csv", *page[1:]):
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=tmp_path,
                env=catdog.environment | server,
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"

    for name in ("pets.csv", "listed.parquet", "packed.csv", "again.csv", "bucket.csv"):
        assert [row["error"] for row in rows(tmp_path / name)] == [None] * 24
    assert len(list((tmp_path / "drawn").iterdir())) == 24
    assert len(rows(tmp_path / "some.jsonl")) == 6
    assert sum(path.is_symlink() for path in (tmp_path / "by-class").rglob("*")) == 24


def test_every_command_is_in_the_page(catdog: Catdog) -> None:
    shown = catdog.run("--help").stdout
    names = [line.split()[1] for line in shown.splitlines() if line.startswith(("│ ", "| ")) and line[2:3].isalpha()]

    assert len(names) > 10
    assert [name for name in names if f"`{name}" not in PAGE] == []
