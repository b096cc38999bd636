"""Kept photos: their order, number and bytes, and incomplete files of killed processes."""

import fcntl
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from app.serving import prediction_log
from app.serving.prediction import Prediction
from app.serving.prediction_log import PredictionLog
from catdog.errors import PredictionNotFound

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
    uploads = keeping(tmp_path)
    added = []
    for clock in (NOW, NOW + set_by, NOW):  # and back again
        monkeypatch.setattr(prediction_log, "time_ns", lambda clock=clock: clock)
        uploads = keeping(tmp_path) if with_a_restart else uploads
        added += [add(uploads) for _ in range(3)]

    assert ids(uploads) == added[::-1]
    keeping(tmp_path, keep=4).sweep()
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
def filling(tmp_path: Path) -> Iterator[PredictionLog]:
    """A log that writes ten photos into a file."""
    uploads = keeping(tmp_path, keep=100)
    yield uploads
    uploads.close()


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (folder / "uploads").iterdir())


def test_the_oldest_photos_are_removed_together(filling: PredictionLog, tmp_path: Path) -> None:
    added = [add(filling) for _ in range(109)]
    assert ids(filling) == added[::-1]

    added.append(add(filling))

    assert ids(filling) == added[:9:-1]
    assert len(list((tmp_path / "uploads").iterdir())) == 10


def test_every_photo_of_a_file_is_found(filling: PredictionLog, tmp_path: Path) -> None:
    predictions = [made_by(filling) for _ in range(13)]
    for place in (3, *range(13)):  # ids are made before photos are added
        filling.add(predictions[place], bytes([place]))

    assert len(list((tmp_path / "uploads").iterdir())) == 2
    for place, prediction in enumerate(predictions):
        kept, photo = filling.get(prediction.prediction_id)
        assert (kept.prediction, photo) == (prediction, bytes([place]))


def test_a_photo_that_is_to_be_forgotten_is_overwritten_and_its_neighbours_stay(
    filling: PredictionLog, tmp_path: Path
) -> None:
    predictions = [made_by(filling) for _ in range(3)]
    for prediction, photo in zip(predictions, (b"first photo", b"second photo", b"third photo"), strict=True):
        filling.add(prediction, photo)
    first, second, third = (prediction.prediction_id for prediction in predictions)

    assert filling.forget(sha256(b"second photo").hexdigest()) == [second]

    left = content(tmp_path)
    assert b"second photo" not in left
    assert second.encode() not in left
    assert ids(filling) == [third, first]
    assert filling.get(third)[1] == b"third photo"
    with pytest.raises(PredictionNotFound):
        filling.get(second)
    last = add(filling)
    assert ids(filling) == [last, third, first]
    filling.close()
    for photo in (b"first photo", b"third photo", bytes(10)):
        filling.forget(sha256(photo).hexdigest())
    assert not list((tmp_path / "uploads").iterdir())


def test_a_photo_that_is_too_old_goes_from_a_file_with_newer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = PredictionLog(tmp_path, 100, 10**6, keep_days=2)
    monkeypatch.setattr(prediction_log, "time_ns", lambda: NOW - 49 * HOUR_NANOSECONDS)
    add(uploads)
    monkeypatch.setattr(prediction_log, "time_ns", lambda: NOW)
    newer = add(uploads)
    monkeypatch.setattr(prediction_log, "time", lambda: NOW / 1e9)

    keeping(tmp_path).sweep()
    assert len(ids(uploads)) == 2
    uploads.sweep()

    assert ids(uploads) == [newer]
    uploads.close()


def test_a_file_that_a_process_is_writing_is_not_removed_by_another(filling: PredictionLog, tmp_path: Path) -> None:
    first = add(filling)
    other = keeping(tmp_path, keep=1)

    newer = [add(other) for _ in range(3)]
    assert ids(filling) == [newer[-1], first]

    filling.close()
    other.sweep()
    assert ids(filling) == [newer[-1]]


@pytest.mark.parametrize("with_its_folder", [True, False])
def test_a_file_that_somebody_deleted_is_begun_anew(
    filling: PredictionLog, tmp_path: Path, with_its_folder: bool
) -> None:
    file = tmp_path / "uploads" / add(filling)
    shutil.rmtree(file.parent) if with_its_folder else file.unlink()

    last = add(filling)

    assert ids(filling) == [last]
    assert filling.get(last)[1] == bytes(10)


def test_damaged_bytes_are_no_photo(filling: PredictionLog, tmp_path: Path) -> None:
    file = tmp_path / "uploads" / add(filling)
    file.write_bytes(file.read_bytes()[:-1] + b"?")

    with pytest.raises(PredictionNotFound):
        filling.get(file.name)


def test_what_a_killed_process_was_writing_goes_at_the_next_start(tmp_path: Path, filling: PredictionLog) -> None:
    whole = add(filling)
    filling.close()
    file = tmp_path / "uploads" / whole
    record = file.read_bytes()
    for left in (b"", record[:20], record[:-1]):
        (file.parent / filling.new_id()).write_bytes(left)
        (file.parent / filling.new_id()).write_bytes(record + left)
    (file.parent / "README").write_text("not ours")
    (file.parent / f"{filling.new_id()}.free").write_bytes(b"{")  # of an earlier version of the service

    keeping(tmp_path).clean()

    contents = [path.read_bytes() for path in file.parent.iterdir() if path.name != "README"]
    assert contents == [record] * 4
    assert (file.parent / "README").exists()


def test_what_another_process_writes_just_now_stays_at_a_start(tmp_path: Path) -> None:
    uploads = keeping(tmp_path)
    add(uploads)
    path = tmp_path / "uploads" / uploads.new_id()
    with path.open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        keeping(tmp_path).clean()

    assert path.exists()
