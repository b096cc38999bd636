"""Divides the cores and the limits of the service among its processes."""

import os
from math import ceil
from typing import Final

from app.admission import limit_bytes
from app.errors import MIB
from app.settings import Settings
from app.web import connections
from catdog.system import resources

DECODING_SHARE: Final = 4  # by default decoding may use a quarter of the memory
MOST_DECODERS: Final = 16


def cores_of(place: int, processes: int) -> frozenset[int] | None:
    """The cores of the process at `place`, 0 to `processes` - 1; None if a time quota limits them, not their number."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    if resources.usable_cores() < len(allowed):
        return None
    begin, end = (len(allowed) * each // processes for each in (place, place + 1))
    return frozenset(allowed[begin:end] or [allowed[place % len(allowed)]])


def of(settings: Settings, place: int, processes: int) -> Settings:
    """The settings of the process at `place`: what several share is divided, rounded up."""
    own = cores_of(place, processes)
    cores = max(1, resources.usable_cores() // processes) if own is None else len(own)

    def part(limit: int) -> int:
        return ceil(limit / processes)

    most = settings.max_connections or connections.default_limit(connections.raise_open_file_limit())
    decoding_bytes = settings.decoding_bytes or resources.usable_bytes() // DECODING_SHARE
    return settings.model_copy(
        update={
            "threads": part(settings.threads) if settings.threads else cores,
            # on one core several photos at a time are no faster, and need a second compiled network
            "streams": part(settings.streams) if settings.streams else 1 if cores == 1 else None,
            "decoders": part(settings.decoders) if settings.decoders else min(cores, MOST_DECODERS),
            "decoding_bytes": part(decoding_bytes),
            "queue_items": part(settings.queue_items),
            "cache_items": part(settings.cache_items),
            "max_connections": part(most),
            "max_uploads": part(settings.max_uploads),
            # one batch must fit, as the settings promise
            "max_bodies_bytes": max(part(limit_bytes(settings)), settings.max_batch_bytes + MIB),
        }
    )
