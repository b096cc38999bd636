"""The roles of keys, each of which may do all that the ones before it may, and limits of keys."""

from enum import StrEnum
from typing import Final, NamedTuple

LIMIT_DAYS: Final = 36_500  # until a key expires
LIMIT_REQUESTS: Final = 1_000_000.0  # a second
LIMIT_BYTES: Final = 10**15  # a day
LIMIT_OVERLAP_HOURS: Final = 24 * 365  # that a rotated key stays valid


class Role(StrEnum):
    """What a key may do."""

    PREDICT = "predict"
    """Request predictions, and read what shows no photos: versions, counts, progress, metrics."""

    LABEL = "label"
    """Also see pictures, add them, label them, and change data sets in ways that can be undone."""

    TRAIN = "train"
    """Also start, follow and cancel trainings and batches, and remove pictures for good."""

    ADMIN = "admin"
    """Also change which version is in service, delete versions, and manage keys."""

    def includes(self, needed: "Role") -> bool:
        """Whether this role may do what the other one may."""
        return LADDER.index(self) >= LADDER.index(needed)


LADDER = tuple(Role)


class Limits(NamedTuple):
    """How much a client may send; None is no limit."""

    requests_per_second: float | None = None
    bytes_per_day: int | None = None

    def over(self, defaults: "Limits") -> "Limits":
        """These, and the defaults where they have none."""
        return Limits(
            defaults.requests_per_second if self.requests_per_second is None else self.requests_per_second,
            defaults.bytes_per_day if self.bytes_per_day is None else self.bytes_per_day,
        )


NO_LIMITS: Final = Limits()
