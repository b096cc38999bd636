from pathlib import Path

import pytest

from benchmarks.harness import versions
from benchmarks.trainer import head_training
from tests.photos import draw_set


@pytest.mark.whole
def test_a_head_is_measured_beside_its_photos_in_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    version = versions.random(1 / 32, tmp_path / "models")
    draw_set(tmp_path / "photos" / "train", 6)
    draw_set(tmp_path / "photos" / "validation", 3, first=1000)

    head_training.show_command(version, tmp_path / "photos", tmp_path)

    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("18 photos in the engine")
    assert rows[1].startswith("6 of them in float32")
    assert [row.split("  ")[0] for row in rows[2:]] == [
        "the whole command, nothing known",
        "the command, of the photos",
        "the command, of these and float32",
    ]
