"""Promotions and rollbacks are derived from the list of champions."""

from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection

from catdog.database import Database
from catdog.errors import StoreError
from catdog.versions.store import CHAMPIONS_REMEMBERED
from catdog.webhooks import champions
from catdog.webhooks.deliveries import Deliveries

URL = "http://127.0.0.1:1/hooks"


def said(before: list[int], now: list[int]) -> list[str]:
    return [f"{step.kind} {step.version} after {step.previous}" for step in champions.steps(before, now)]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([], [], []),
        ([2, 1], [2, 1], []),
        ([1], [], []),
        ([], [1], ["version.promoted 1 after None"]),
        ([1], [2, 1], ["version.promoted 2 after 1"]),
        ([1], [3, 2, 1], ["version.promoted 2 after 1", "version.promoted 3 after 2"]),
        ([1], [1, 2, 1], ["version.promoted 2 after 1", "version.promoted 1 after 2"]),
        ([2, 1], [1], ["version.rolled_back 1 after 2"]),
        ([3, 2, 1], [1], ["version.rolled_back 1 after 3"]),
        ([2, 1], [3, 1], ["version.rolled_back 1 after 2", "version.promoted 3 after 1"]),
        ([2, 1, 2, 1], [1, 2, 1], ["version.rolled_back 1 after 2"]),
        ([3], [1], ["version.rolled_back 1 after 3"]),  # the shipped version, as the last resort
        ([5], [7, 6], ["version.promoted 7 after 5"]),  # the file was edited
    ],
)
def test_the_steps_between_two_lists(before: list[int], now: list[int], expected: list[str]) -> None:
    assert said(before, now) == expected


def test_a_full_list_forgets_its_oldest_entries() -> None:
    full = [1, 2] * (CHAMPIONS_REMEMBERED // 2)

    assert said(full, [2, *full[:-1]]) == ["version.promoted 2 after 1"]
    assert said(full, [3, 2, *full[:-2]]) == ["version.promoted 2 after 1", "version.promoted 3 after 2"]
    assert said(full, full[1:]) == ["version.rolled_back 2 after 1"]


class Kept:
    """A database whose events go to one URL, and a list of champions."""

    def __init__(self, folder: Path) -> None:
        self.database = Database.of(folder)
        self.deliveries = Deliveries(self.database)
        self.champions: tuple[int, ...] = (1,)
        self.send_to([URL])

    def send_to(self, urls: list[str]) -> None:
        self.deliveries.send_to(urls, lambda: self.champions)

    def change(self, connection: Connection, champions_: tuple[int, ...]) -> None:
        with champions.recorded(connection, lambda: self.champions):
            self.champions = champions_

    def events(self) -> list[tuple[str, object]]:
        return [(one.kind, one.data["version"]) for one in reversed(self.deliveries.newest(100))]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_the_champion_of_the_first_look_is_no_event_and_each_change_is_one(kept: Kept) -> None:
    assert kept.events() == []

    with kept.database.writing() as connection:
        kept.change(connection, (2, 1))
    champions.catch_up(kept.database, lambda: kept.champions)

    assert kept.events() == [("version.promoted", 2)]


def test_a_change_whose_transaction_never_ended_is_found_by_the_next_one(kept: Kept) -> None:
    with suppress(ZeroDivisionError), kept.database.writing() as connection:
        kept.change(connection, (2, 1))
        raise ZeroDivisionError
    assert kept.events() == []

    with kept.database.writing() as connection:
        kept.change(connection, (1,))

    assert kept.events() == [("version.promoted", 2), ("version.rolled_back", 1)]


def test_a_file_that_cannot_be_read_stops_no_promotion_and_is_compared_later(kept: Kept) -> None:
    def broken() -> tuple[int, ...]:
        raise StoreError("the file champion should hold version numbers")

    with kept.database.writing() as connection, champions.recorded(connection, broken):
        kept.champions = (2, 1)
    assert kept.events() == []

    champions.catch_up(kept.database, lambda: kept.champions)
    assert kept.events() == [("version.promoted", 2)]


def test_what_happened_while_no_url_was_set_is_no_event(kept: Kept) -> None:
    kept.send_to([])
    kept.champions = (2, 1)
    champions.catch_up(kept.database, lambda: kept.champions)
    kept.send_to([URL])
    champions.catch_up(kept.database, lambda: kept.champions)
    assert kept.events() == []

    kept.champions = (3, 2, 1)
    champions.catch_up(kept.database, lambda: kept.champions)

    assert kept.events() == [("version.promoted", 3)]
