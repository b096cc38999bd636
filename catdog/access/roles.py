"""The roles of keys, each of which may do all that the ones before it may, and limits of keys."""

from enum import StrEnum
from typing import Final

LIMIT_DAYS: Final = 36_500  # until a key expires
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
