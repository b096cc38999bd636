from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from catdog.errors import BrokenVersion, ChampionChanged, NoChampion, NoEarlierChampion, VersionNotFound
from catdog.jobs.errors import LeaseLost
from catdog.versions.store import CHAMPIONS_REMEMBERED, Store, Version

pytestmark = pytest.mark.parametrize("root", ["folder", "bucket"], indirect=True)


def break_weights(store: Store, version: int) -> None:
    with store.open(version).weights_path.open("ab") as file:
        file.write(b"more")


def test_the_shipped_version_is_in_service_at_first(filled: Store) -> None:
    assert filled.champion() == 1


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
    assert filled.place.read("champion") == b"3\n1\n"


def test_promoting_the_champion_changes_nothing(filled: Store) -> None:
    filled.promote(3)
    filled.promote(3)

    assert filled.place.read("champion") == b"3\n1\n"


def test_what_is_missing_or_broken_is_not_promoted(filled: Store) -> None:
    break_weights(filled, 2)

    with pytest.raises(VersionNotFound, match="there is no version 9; the store holds: 1, 2, 3, 4"):
        filled.promote(9)
    with pytest.raises(BrokenVersion, match="version 2 can't be used"):
        filled.promote(2)
    assert filled.champion() == 1


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


def test_rolling_back_a_broken_champion_works(filled: Store) -> None:
    filled.promote(2)
    (filled.open(2).path / "manifest.json").unlink()

    assert filled.roll_back() == 1


def test_a_limited_number_of_champions_is_remembered(filled: Store) -> None:
    for version in (2, 3) * CHAMPIONS_REMEMBERED:
        filled.promote(version)

    lines = (filled.place.read("champion") or b"").decode().splitlines()
    assert lines == ["3", "2"] * (CHAMPIONS_REMEMBERED // 2)
