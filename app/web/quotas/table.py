"""Counts what clients use, in a file that all processes of a machine map into memory.

Each client and quota has one number: when its quota will be unused again (the generic cell rate algorithm of ATM). A
request moves it into the future by its share of the quota, and is refused beyond one whole quota. So unused quota is
saved up to the whole, nothing has to be reset, and a number in the past needs no place.
"""

import fcntl
import mmap
import os
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from time import time
from typing import Final, NamedTuple

PLACES: Final = 2**14  # for clients that used a part of their quota and haven't got it back
TRIED: Final = 8  # places next to each other that a client may have
SLOT: Final = Struct("<Qd")  # hash of client and quota, and when the quota is unused again, in seconds since 1970
OLD_SECONDS: Final = 7 * 86_400.0  # without a request that counts; after a day nothing is left to count
ROUNDING_SECONDS: Final = 1e-6  # of seconds since 1970, in a float
TABLE_BYTES: Final = PLACES * SLOT.size


class Quota(NamedTuple):
    """`amount` of `unit` in `seconds`, by its name in the headers."""

    name: str
    amount: float
    seconds: float
    unit: str


class Usage(NamedTuple):
    """Whether a request may be answered, how much is left after it, and the seconds until it may or all is left."""

    is_admitted: bool
    left: float
    wait_seconds: float


class Table:
    """The counts. Any number of processes may use the same file; only for one thread of each."""

    def __init__(self, file: Path, clock: Callable[[], float] = time) -> None:
        self._file = file
        self._clock = clock
        self._opened: tuple[int, mmap.mmap] | None = None  # the file's descriptor, and its content

    def take(self, client: str, quota: Quota, cost: float) -> Usage:
        """Use `cost` of the client's quota if that much is left. OSError if the file can't be created."""
        descriptor, content = self._opened = self._opened or _open(self._file)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for microseconds
        try:
            now = self._clock()
            wanted = digest(client, quota.name)
            place, unused_at = _find(content, wanted, now)
            unused_at = min(max(unused_at, now), now + quota.seconds)  # further ahead only if the clock was set back
            after = unused_at + cost * quota.seconds / quota.amount
            is_admitted = after <= now + quota.seconds + ROUNDING_SECONDS
            SLOT.pack_into(content, place, wanted, after if is_admitted else unused_at)
            if is_admitted:
                return Usage(True, _left(quota, after - now), after - now)
            return Usage(False, _left(quota, unused_at - now), after - now - quota.seconds)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        if self._opened is not None:
            descriptor, content = self._opened
            content.close()
            os.close(descriptor)
            self._opened = None


def _open(file: Path) -> tuple[int, mmap.mmap]:
    """Create or open it, and delete those of machines that are gone: each new pod of Kubernetes has another name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for other in file.parent.iterdir():
        if other != file and time() - other.stat().st_mtime > OLD_SECONDS:
            other.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, TABLE_BYTES)  # else a write to a full disk would end the process
        return descriptor, mmap.mmap(descriptor, TABLE_BYTES)
    except OSError:
        os.close(descriptor)
        raise


def _find(content: mmap.mmap, wanted: int, now: float) -> tuple[int, float]:
    """The place of a client and its number; else a place that is free, or whose client has used least."""
    first, best, least = wanted % PLACES, 0, float("inf")
    for step in range(TRIED):
        place = (first + step) % PLACES * SLOT.size
        found, unused_at = SLOT.unpack_from(content, place)
        if found == wanted:
            return place, unused_at
        if unused_at < least:
            best, least = place, unused_at
    return best, now


@lru_cache(maxsize=4096)
def digest(client: str, quota: str) -> int:
    """64 bits that stand for the client and the quota, never 0."""
    return int.from_bytes(blake2b(f"{client}\n{quota}".encode(), digest_size=8).digest()) or 1


def _left(quota: Quota, seconds: float) -> float:
    return max(0.0, quota.amount * (1 - seconds / quota.seconds))
