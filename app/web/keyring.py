"""Named keys in memory, so that checking one costs no query of the database.

All keys are read at once, at most every FRESH_SECONDS and only if requests bring named keys. After LIMIT_SECONDS a
request waits for that. So a key that any process revoked is refused by every other one after LIMIT_SECONDS at most,
and requests don't wait for the database as long as they keep coming.

While the database doesn't answer, keys are those last read, for AWAY_SECONDS at most: no key can be revoked then,
unless only this machine doesn't reach the database.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from time import monotonic, time
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from catdog.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from catdog.access.keys import Key, Keys

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0
LIMIT_SECONDS = 5.0
AWAY_SECONDS = 600.0
PATIENCE_SECONDS = 1.0  # that a request waits for a database that may not answer
UNKNOWN_SECONDS = 0.5  # for a key that isn't known: it may be new, but wrong ones must not cost a query each
USED_SECONDS = 60.0  # between two notes of a key's use


class KeyRing:
    """The named keys. Only for the event loop; `keys` opens the database, called on a thread."""

    def __init__(self, keys: "Callable[[], Keys]") -> None:
        self._keys = keys
        self._known: Mapping[str, Key] = {}
        self._read_at = self._tried_at = -math.inf
        self._is_away = False  # the database
        self._reading: asyncio.Task[Exception | None] | None = None
        self._noted: dict[str, float] = {}  # when the use of a key was last noted
        self._noting: set[asyncio.Task[None]] = set()
        self._threads = CapacityLimiter(1)
        self._writers = CapacityLimiter(1)  # may wait for another writer, while keys can still be read

    async def find(self, given: str) -> "Key | None":
        """The key with this text, in any state; None if there is none. DatabaseUnavailable."""
        if not given.startswith("catdog_"):  # before the import, which is slow the first time
            return None
        from catdog.access.keys import State, id_of

        if (found := id_of(given)) is None:
            return None
        await self._read_if_older(FRESH_SECONDS, LIMIT_SECONDS, must_be_read=False)
        if found not in self._known:
            await self._read_if_older(UNKNOWN_SECONDS, UNKNOWN_SECONDS)
        key = self._known.get(found)
        if key is None or not key.matches(given):
            return None
        if key.state is State.VALID:
            self._note_use(key)
        return key

    async def reread(self) -> None:
        """Read the keys again, after a change by this process. DatabaseUnavailable."""
        if self._reading is not None:
            await asyncio.shield(self._reading)  # it may have begun before the change
        await self._read_if_older(0, 0)

    async def _read_if_older(self, fresh_seconds: float, limit_seconds: float, must_be_read: bool = True) -> None:
        """Begin to read keys older than `fresh_seconds`, and wait for that if they are older than `limit_seconds`.

        DatabaseUnavailable; unless `must_be_read`, only once they are older than AWAY_SECONDS.
        """
        age = monotonic() - self._read_at
        if age < fresh_seconds:
            return
        may_be_old = not must_be_read and age < AWAY_SECONDS
        goes_on = may_be_old and self._is_away
        if self._reading is None and not (goes_on and monotonic() - self._tried_at < FRESH_SECONDS):
            self._reading = asyncio.create_task(self._read())
        if age < limit_seconds or goes_on or self._reading is None:
            return
        reading = self._reading
        done, _ = await asyncio.wait([reading], timeout=PATIENCE_SECONDS if may_be_old else None)
        error = reading.result() if done else None
        self._is_away = self._is_away or not done
        if error is not None and not (may_be_old and isinstance(error, DatabaseUnavailable)):
            raise error

    async def _read(self) -> Exception | None:
        """Read all keys; returns the error, for the requests that wait."""
        began = self._tried_at = monotonic()
        try:
            found = await to_thread.run_sync(lambda: self._keys().all(), limiter=self._threads)
        except Exception as error:
            if isinstance(error, DatabaseUnavailable) and not self._is_away:
                logger.warning("the database doesn't answer, so named keys are those last read: %s", error.reason)
                self._is_away = True
            return error
        finally:
            self._reading = None
        self._known, self._read_at, self._is_away = {key.id: key for key in found}, began, False
        return None

    def _note_use(self, key: "Key") -> None:
        now = time()
        if now - max(key.used_at or 0.0, self._noted.get(key.id, 0.0)) >= USED_SECONDS:
            self._noted[key.id] = now
            task = asyncio.create_task(self._write_use(key.id, now))
            self._noting.add(task)
            task.add_done_callback(self._noting.discard)

    async def _write_use(self, id: str, at: float) -> None:
        try:
            await to_thread.run_sync(lambda: self._keys().note_use(id, at), limiter=self._writers)
        except (DatabaseUnavailable, OSError) as error:  # a full disk: requests go on
            logger.warning("the last use of key %s can't be stored: %s", id, error)
