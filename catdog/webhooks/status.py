"""The kinds of events, and how far the delivery of one is."""

from enum import StrEnum


class Kind(StrEnum):
    """What an event reports."""

    JOB_ENDED = "job.ended"
    VERSION_PROMOTED = "version.promoted"
    VERSION_ROLLED_BACK = "version.rolled_back"
    DRIFT_BEGAN = "drift.began"
    DRIFT_ENDED = "drift.ended"
    DATASET_CHANGED = "dataset.changed"
    TEST = "webhook.test"


class Status(StrEnum):
    """The status of a delivery."""

    WAITING = "waiting"  # for its next attempt
    DELIVERED = "delivered"  # the receiver has accepted it
    FAILED = "failed"  # it was tried for too long; it can be replayed
