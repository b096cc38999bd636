"""The benchmark of `catdog classify`, on a tiny network and a few photos."""

from pathlib import Path

import pytest

from benchmarks.experiments import classify
from benchmarks.harness import photos, ray_cluster
from benchmarks.harness.versions import Model
from catdog.versions.store import Store
from tests.app.service import publish


def given(folder: Path, count: int) -> tuple[Model, Path, Path]:
    """A tiny version, and folders with two photos and with `count` photos."""
    publish(folder / "models")
    original = folder / "original.jpg"
    original.write_bytes(photos.generated(1))
    few, many = (classify.linked(folder / str(number), [original], number) for number in (2, count))
    return Model("tiny", Store(folder / "models").open(1)), few, many


def test_a_row_compares_the_command_with_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "ROUNDS", 1)
    monkeypatch.setattr(classify, "SECONDS", 0.05)
    model, few, many = given(tmp_path, 6)

    cells = classify.line(model, few, many, tmp_path / "data").strip("| ").split(" | ")

    name, limit, command, share, *_ = cells
    assert name.startswith("tiny, ")
    assert float(limit) > float(command) > 0
    assert 0 < float(share) < 1


@pytest.mark.ray
@pytest.mark.whole
def test_a_row_compares_three_nodes_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "ROUNDS", 1)
    model, few, many = given(tmp_path, 300)

    with ray_cluster.cluster() as cluster:
        cells = classify.on_nodes(model, few, many, tmp_path / "data", cluster).strip("| ").split(" | ")

    name, here, there, share = cells
    assert name == "tiny"
    assert float(there) > 0
    assert float(share) == pytest.approx(float(there) / float(here), abs=0.02)


def test_photos_that_have_no_answer_are_no_result(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "notes.txt").write_text("no photo, and so no row")

    with pytest.raises(RuntimeError, match="the command failed"):
        classify.run(folder, Model("tiny", Store(tmp_path / "models").open(1)), tmp_path / "data")
