"""Kept photos: their order, number and bytes, and incomplete files of killed processes."""

import fcntl
from pathlib import Path

import pytest

from app.serving import prediction_log
from app.serving.prediction import Prediction
from app.serving.prediction_log import PredictionLog

HOUR_NANOSECONDS = 3600 * 10**9
YEAR_NANOSECONDS = 365 * 24 * HOUR_NANOSECONDS
NOW = 1_800_000_000 * 10**9


def keeping(folder: Path, keep: int = 9, keep_bytes: int = 10**6) -> PredictionLog:
    """A log as of a service that starts now."""
    return PredictionLog(folder, keep, keep_bytes)


def made_by(uploads: PredictionLog) -> Prediction:
    return Prediction(
        label="cat",
        probability=1.0,
        probabilities={"cat": 1.0},
        model_version=1,
        prediction_id=uploads.new_id(),
    )


def add(uploads: PredictionLog, size_bytes: int = 10) -> str:
    prediction = made_by(uploads)
    uploads.add(prediction, bytes(size_bytes))
    return prediction.prediction_id


def ids(uploads: PredictionLog) -> list[str]:
    """Ids of the kept photos, newest first."""
    return [kept.prediction.prediction_id for kept in uploads.newest()]


@pytest.mark.parametrize(
    "set_by", [-HOUR_NANOSECONDS, -10 * YEAR_NANOSECONDS, 0, HOUR_NANOSECONDS, 10 * YEAR_NANOSECONDS]
)
@pytest.mark.parametrize("with_a_restart", [True, False])
def test_a_clock_that_is_set_does_not_change_which_photos_are_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_by: int, with_a_restart: bool
) -> None:
    uploads = keeping(tmp_path, keep=4)
    added = []
    for clock in (NOW, NOW + set_by, NOW):  # and back again
        monkeypatch.setattr(prediction_log, "time_ns", lambda clock=clock: clock)
        uploads = keeping(tmp_path, keep=4) if with_a_restart else uploads
        added += [add(uploads) for _ in range(3)]

    assert ids(uploads) == added[::-1]
    uploads.sweep()
    assert ids(uploads) == added[:-5:-1]


def test_processes_that_share_the_folder_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = keeping(tmp_path), keeping(tmp_path)
    monkeypatch.setattr(prediction_log, "time_ns", lambda: NOW + YEAR_NANOSECONDS)
    ahead = add(one)
    monkeypatch.setattr(prediction_log, "time_ns", lambda: NOW)

    other.sweep()

    last = add(other)
    assert ids(one) == [last, ahead]


def test_a_file_from_the_end_of_time_does_not_end_the_order(tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / ("f" * 32)).write_bytes(b"")
    uploads = keeping(tmp_path)

    first, second = add(uploads), add(uploads)

    assert len(first) == len(second) == 32
    assert ids(uploads) == [second, first]


def test_the_moment_of_a_prediction_is_that_of_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_log, "time_ns", lambda: NOW + YEAR_NANOSECONDS)
    monkeypatch.setattr(prediction_log, "time", lambda: 1_800_000_000.5)
    uploads = keeping(tmp_path)
    add(uploads)

    assert [kept.predicted_at for kept in uploads.newest()] == [1_800_000_000.5]


def test_a_photo_that_was_kept_before_moments_were_written_has_that_of_its_id(tmp_path: Path) -> None:
    uploads = keeping(tmp_path)
    file = tmp_path / "uploads" / add(uploads)
    head, _, photo = file.read_bytes().partition(b"\n")
    file.write_bytes(head.replace(b'"at"', b'"was"') + b"\n" + photo)

    (kept,) = uploads.newest()

    assert kept.predicted_at == int(file.name[:16], 16) / 1e9


def test_photos_are_kept_for_as_many_bytes_as_they_may_take(tmp_path: Path) -> None:
    uploads = keeping(tmp_path, keep=100, keep_bytes=50_000)

    added = [add(uploads, 10_000) for _ in range(20)]

    assert ids(uploads) == added[:-5:-1], "each head takes some bytes as well"
    add(uploads, 60_000)
    uploads.sweep()
    assert ids(uploads) == []


@pytest.fixture
def reusing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PredictionLog:
    """A log of one photo that has removed another."""
    monkeypatch.setattr(prediction_log, "SWEEP_EVERY", 1)
    uploads = keeping(tmp_path, keep=1)
    uploads.add(made_by(uploads), b"removed")
    uploads.add(made_by(uploads), b"kept")
    return uploads


def test_a_photo_that_was_removed_is_in_no_file_and_its_file_is_used_again(
    reusing: PredictionLog, tmp_path: Path
) -> None:
    files = {path.stat().st_ino: path.read_bytes() for path in (tmp_path / "uploads").iterdir()}
    last = add(reusing)

    assert [b"removed" in content for content in files.values()] == [False, False]
    assert {path.stat().st_ino for path in (tmp_path / "uploads").iterdir()} == set(files)
    assert reusing.get(last)[1] == bytes(10)


def test_a_file_to_be_used_again_may_have_been_deleted_by_another_process(
    reusing: PredictionLog, tmp_path: Path
) -> None:
    keeping(tmp_path).clean()

    assert reusing.get(add(reusing))[1] == bytes(10)


def test_a_sweep_of_all_limits_leaves_no_file_to_be_used_again(reusing: PredictionLog, tmp_path: Path) -> None:
    reusing.sweep()

    assert [path.name for path in (tmp_path / "uploads").iterdir()] == ids(reusing)


def test_what_a_killed_process_was_writing_goes_at_the_next_start(tmp_path: Path) -> None:
    uploads = keeping(tmp_path)
    whole = add(uploads)
    content = (tmp_path / "uploads" / whole).read_bytes()
    for left in (b"", content[:20], content[:-1]):
        (tmp_path / "uploads" / uploads.new_id()).write_bytes(left)
    (tmp_path / "uploads" / "README").write_text("not ours")
    (tmp_path / "uploads" / f"{uploads.new_id()}.free").write_bytes(b"{")

    keeping(tmp_path).clean()

    assert {path.name for path in (tmp_path / "uploads").iterdir()} == {whole, "README"}


def test_what_another_process_writes_just_now_stays_at_a_start(tmp_path: Path) -> None:
    uploads = keeping(tmp_path)
    add(uploads)
    path = tmp_path / "uploads" / uploads.new_id()
    with path.open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        keeping(tmp_path).clean()

    assert path.exists()
