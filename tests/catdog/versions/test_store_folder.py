"""What a store in a folder does with its files."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from catdog.errors import NoChampion, StoreError
from catdog.versions.store import Store, Version

Publish = Callable[[Store], Version]


def test_a_store_without_the_shipped_version_has_no_champion_at_first(filled: Store) -> None:
    shutil.rmtree(filled.root / "1")

    with pytest.raises(NoChampion):
        filled.champion()
    with pytest.raises(NoChampion):
        filled.roll_back()


def test_the_pointer_is_on_the_disk_before_it_is_put_in_place(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []  # inodes that were synced; 0 for the replacement
    fsync, replace = os.fsync, os.replace

    def watch_fsync(descriptor: int) -> None:
        steps.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def watch_replace(source: Path, target: Path) -> None:
        steps.append(0)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(os, "replace", watch_replace)
    filled.promote(2)

    assert steps == [(filled.root / "champion").stat().st_ino, 0, filled.root.stat().st_ino]


def test_a_sweep_removes_what_interrupted_steps_left_and_no_version(filled: Store) -> None:
    for left in (".draft-0/content", ".deleted-7/report"):
        (filled.root / left).mkdir(parents=True)
    (filled.root / ".champion.new").write_text("4\n")

    with filled.draft() as mine:
        filled.sweep()
        assert mine.path.exists(), "what another process makes stays"

    assert {path.name for path in filled.root.iterdir()} <= {"1", "2", "3", "4", "champion", ".last", ".lock"}


def test_a_sweep_where_nothing_is_left_writes_nothing(filled: Store) -> None:
    before = {path.name for path in filled.root.iterdir()}

    filled.sweep()

    assert {path.name for path in filled.root.iterdir()} == before


def test_rolling_back_ends_at_the_shipped_version(filled: Store) -> None:
    (filled.root / "champion").write_text("3\n")

    assert filled.roll_back() == 1
    assert filled.champion() == 1


@pytest.mark.parametrize(
    "garbage", [b"", b"latest\n", b"0\n", b"-1\n", b"01\n", b"3\n\n1\n", b"9" * 5000, b"\xff\xfe\0"]
)
def test_a_garbled_pointer_is_an_error_that_says_what_to_do(filled: Store, garbage: bytes) -> None:
    (filled.root / "champion").write_bytes(garbage)

    with pytest.raises(StoreError, match=r"the file champion should hold version numbers, .* or remove it"):
        filled.champion()
    with pytest.raises(StoreError, match="champion"):
        filled.prune(1)
    assert filled.versions() == (1, 2, 3, 4)


def test_a_pointer_written_by_hand_is_followed(filled: Store) -> None:
    (filled.root / "champion").write_bytes(b"2\r\n")

    assert filled.champion() == 2


def test_a_pointer_that_cannot_be_read_is_not_called_wrong(filled: Store) -> None:
    (filled.root / "champion").mkdir()

    with pytest.raises(StoreError, match="champion can't be read"):
        filled.champion()


def test_a_copied_store_goes_on_after_its_highest_number(filled: Store, publish: Publish) -> None:
    (filled.root / ".last").unlink()

    assert publish(filled).number == 5


def test_a_version_can_be_read_by_other_users(store: Store, publish: Publish) -> None:
    umask = os.umask(0o022)
    try:
        version = publish(store)
    finally:
        os.umask(umask)

    assert stat.S_IMODE(version.path.stat().st_mode) == 0o755


def test_a_version_is_on_the_disk_before_it_shows(
    store: Store, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []  # inodes, in the order of their fsync
    before_the_rename: set[int] = set()
    fsync, rename = os.fsync, os.rename

    def watch_fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def watch_rename(source: Path, target: Path) -> None:
        before_the_rename.update(synced)
        synced.clear()
        rename(source, target)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(os, "rename", watch_rename)
    version = publish(store)

    assert {path.stat().st_ino for path in (version.path, *version.path.rglob("*"))} <= before_the_rename
    assert synced == [store.root.stat().st_ino]
