"""The roles of keys: a ladder on which each role may do all that the ones before it may."""

from enum import StrEnum


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
