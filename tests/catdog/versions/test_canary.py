"""The numbers that roll a canary back."""

import pytest

from catdog.versions import canary
from catdog.versions.canary import Canary, Limits, Side

LIMITS = Limits(photos=100, errors=0.01, unknown=0.05, latency=1.5)
GOOD = Side(photos=1000, errors=1, unknown=20, seconds=20.0)


def broken(candidate: Side, usual: Side = GOOD) -> list[str]:
    found = Canary(version=2, champion=1, share=0.1, began_at=0.0).plus({2: candidate, 1: usual, 7: GOOD})
    return [rule.name for rule in canary.rules(found, LIMITS) if not rule.passed]


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (Side(photos=200, unknown=4, seconds=4.0), []),
        (Side(photos=99, errors=99), []),  # too few
        (Side(photos=200, errors=2, unknown=4, seconds=4.0), []),  # 1%, by chance
        (Side(photos=200, errors=8, unknown=4, seconds=4.0), ["errors"]),
        (Side(photos=200, unknown=12, seconds=4.0), []),  # within the limit
        (Side(photos=200, unknown=30, seconds=4.0), ["unknown"]),
        (Side(photos=200, unknown=4, seconds=6.1), ["latency"]),
        (Side(photos=200, errors=200), ["errors"]),
    ],
)
def test_a_number_beyond_its_limit_is_broken(candidate: Side, expected: list[str]) -> None:
    assert broken(candidate) == expected


def test_the_champion_needs_enough_photos_too() -> None:
    assert broken(Side(photos=200, errors=200), Side(photos=99)) == []
