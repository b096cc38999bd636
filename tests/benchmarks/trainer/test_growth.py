"""Training time is measured for more photos as far as there is time."""

from pathlib import Path
from time import monotonic

import pytest

from benchmarks.harness import versions
from benchmarks.trainer import growth, training
from tests.photos import draw_set

MINUTE = 60.0


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve training and two validation photos."""
    monkeypatch.setattr(training, "PHOTOS", tmp_path / "photos")
    monkeypatch.setattr(growth, "POOL", tmp_path / "no-pool")
    monkeypatch.setattr(growth, "VALIDATION", 2)
    draw_set(tmp_path / "photos" / "train", 6)
    draw_set(tmp_path / "photos" / "validation", 1, first=1000)


@pytest.mark.whole
def test_what_would_take_too_long_by_what_was_measured_is_left_out(tmp_path: Path) -> None:
    version = versions.random(1 / 32, tmp_path / "models")

    found = growth.measure(version, tmp_path, 0.1, monotonic() + 10 * MINUTE, sizes=(4, 1_000_000))

    assert [step.photos for step in found.steps] == [4]
    assert found.too_long == 1_000_000
    assert min(found.steps[0].ours, found.steps[0].tutorial) > 0


def test_nothing_is_begun_that_the_time_is_not_expected_to_be_enough_for(tmp_path: Path) -> None:
    version = versions.random(1 / 32, tmp_path / "models")

    found = growth.measure(version, tmp_path, 10 * MINUTE, monotonic() + MINUTE, sizes=(4, 8))

    assert found == growth.Growth((), 4)


def test_it_ends_where_there_are_no_more_photos(tmp_path: Path) -> None:
    version = versions.random(1 / 32, tmp_path / "models")

    found = growth.measure(version, tmp_path, 0.0, monotonic() + MINUTE, sizes=(14,))

    assert found == growth.Growth(())
