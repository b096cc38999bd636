import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catdog.errors import BrokenVersion, ChampionChanged, NoChampion, NoEarlierChampion, StoreError, VersionNotFound
from catdog.jobs.errors import LeaseLost
from catdog.versions.store import CHAMPIONS_REMEMBERED, Store, Version


def break_weights(store: Store, version: int) -> None:
    with store.open(version).weights_path.open("ab") as file:
        file.write(b"more")


def test_the_shipped_version_is_in_service_at_first(filled: Store) -> None:
    assert filled.champion() == 1


def test_a_store_without_the_shipped_version_has_no_champion_at_first(filled: Store) -> None:
    shutil.rmtree(filled.root / "1")

    with pytest.raises(NoChampion):
        filled.champion()
    with pytest.raises(NoChampion):
        filled.roll_back()


def test_a_missing_store_is_empty(store: Store) -> None:
    assert store.versions() == ()
    with pytest.raises(NoChampion):
        store.champion()
    with pytest.raises(VersionNotFound, match="there is no version 3; the store holds: none"):
        store.open(3)


def test_a_candidate_replaces_only_the_champion_that_it_was_measured_against(filled: Store) -> None:
    filled.promote(2)

    with pytest.raises(ChampionChanged, match="measured against version 1, but version 2 is in service now"):
        filled.promote(3, instead_of=1)
    assert filled.champion() == 2

    filled.promote(3, instead_of=2)
    assert filled.champion() == 3


def test_a_step_is_taken_within_what_its_caller_holds_or_not_at_all(filled: Store) -> None:
    @contextmanager
    def refusing() -> Iterator[None]:
        raise LeaseLost("7")
        yield

    with pytest.raises(LeaseLost):
        filled.promote(3, within=refusing)

    assert filled.champion() == 1


def test_promotion_puts_a_version_into_service(filled: Store) -> None:
    filled.promote(3)

    assert filled.champion() == 3
    assert (filled.root / "champion").read_text() == "3\n1\n"


def test_promoting_the_champion_changes_nothing(filled: Store) -> None:
    filled.promote(3)
    filled.promote(3)

    assert (filled.root / "champion").read_text() == "3\n1\n"


def test_what_is_missing_or_broken_is_not_promoted(filled: Store) -> None:
    break_weights(filled, 2)

    with pytest.raises(VersionNotFound, match="there is no version 9; the store holds: 1, 2, 3, 4"):
        filled.promote(9)
    with pytest.raises(BrokenVersion, match="version 2 can't be used"):
        filled.promote(2)
    assert filled.champion() == 1


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


def test_rolling_back_walks_through_the_champions_before(filled: Store) -> None:
    for version in (2, 3, 2, 4):
        filled.promote(version)

    assert [filled.roll_back() for _ in range(4)] == [2, 3, 2, 1]
    assert filled.champion() == 1
    with pytest.raises(NoEarlierChampion, match="version 1 is the first champion"):
        filled.roll_back()


def test_rolling_back_passes_over_what_is_gone_or_broken(filled: Store) -> None:
    for version in (2, 3, 4):
        filled.promote(version)
    filled.delete(3)
    break_weights(filled, 2)

    assert filled.roll_back() == 1


def test_rolling_back_never_returns_to_the_champion_itself(filled: Store) -> None:
    for version in (4, 3, 4):
        filled.promote(version)
    filled.delete(3)

    assert filled.roll_back() == 1


def test_pruning_keeps_the_last_champions(filled: Store, publish: Callable[[Store], Version]) -> None:
    for version in (2, 3, 4):
        filled.promote(version)
    for _ in range(4):
        publish(filled)
    filled.promote(8)

    filled.prune(1)

    assert filled.versions() == (1, 3, 4, 8)
    assert [filled.roll_back() for _ in range(2)] == [4, 3]


def test_pruning_keeps_what_a_rollback_leads_to_however_long_ago_it_served(
    filled: Store, publish: Callable[[Store], Version]
) -> None:
    for version in (2, 3, 4):
        filled.promote(version)
    for broken in (3, 4):
        break_weights(filled, broken)
    filled.promote(publish(filled).number)

    filled.prune(1)

    assert filled.roll_back() == 2


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


def test_rolling_back_a_broken_champion_works(filled: Store) -> None:
    filled.promote(2)
    (filled.open(2).path / "manifest.json").unlink()

    assert filled.roll_back() == 1


def test_rolling_back_ends_at_the_shipped_version(filled: Store) -> None:
    (filled.root / "champion").write_text("3\n")

    assert filled.roll_back() == 1
    assert filled.champion() == 1


def test_a_limited_number_of_champions_is_remembered(filled: Store) -> None:
    for version in (2, 3) * CHAMPIONS_REMEMBERED:
        filled.promote(version)

    lines = (filled.root / "champion").read_text().splitlines()
    assert lines == ["3", "2"] * (CHAMPIONS_REMEMBERED // 2)


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
