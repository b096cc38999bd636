"""The state of a bucket as this machine knows it, which is compared with the bucket once a second."""

import json
import logging
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, time
from typing import Final, cast

from catdog.errors import StoreError, StoreUnavailable
from catdog.system import durable
from catdog.system.object_store import Conflict, Objects, Tag, Unchanged
from catdog.versions.places.bucket_state import State

logger = logging.getLogger(__name__)

STATE: Final = "state.json"  # the object, and the file that mirrors it
LOCK: Final = ".state.lock"  # held while the mirror is replaced; its time says when it was compared
CHECK_SECONDS: Final = 1.0  # between two looks at the bucket, 25% more or less
AWAY_SECONDS: Final = 2.0  # until the next look at one that doesn't answer

Seen = tuple[State, Tag | None]  # None: there is no such object


class Mirror:
    """Reads and replaces the state; all processes of a machine that share `root` share one look at the bucket.

    While the bucket doesn't answer, the state is the one seen last.
    """

    def __init__(self, root: Path, objects: Objects) -> None:
        self._root = root
        self._objects = objects
        self._file, self._lock = root / STATE, root / LOCK
        self._parsed: tuple[object, Seen] | None = None  # the file's content, with what changes whenever that does
        self._away_until = 0.0  # on the monotonic clock
        self._is_away = False
        self._pause = CHECK_SECONDS
        self._step = threading.local()  # `.began`: what the step that this thread takes began with

    @contextmanager
    def changing(self) -> Iterator[None]:
        """A step that ends in `put`; in it this thread sees the state with which it began."""
        self._root.mkdir(parents=True, exist_ok=True)
        with durable.locked(self._root / durable.LOCK):  # between the processes of a machine nothing is repeated
            self.begin_again()
            try:
                yield
            finally:
                del self._step.began

    def begin_again(self) -> None:
        """Let the step see the state as it is now; it isn't kept, because `put` soon keeps another one."""
        self._step.began = self._asked(self._mirrored())

    def seen(self) -> State:
        """In a step the state with which it began, else as last seen by this machine; StoreUnavailable if it wasn't."""
        return self._seen()[0]

    def look(self) -> State:
        """The state in the bucket now; StoreUnavailable."""
        return self._look()[0]

    def put(self, new: State) -> None:
        """Replace the state with which this step began; Conflict if it is another one by now."""
        with durable.locked(self._lock):
            try:
                tag = self._objects.put(STATE, new.to_json(), self._step.began[1])
            except Conflict:
                there, known_tag = self._asked(None)
                if known_tag is None or there.id != new.id:  # else the answer was lost, and the request repeated
                    raise
                tag = known_tag
            self._step.began = (new, tag)
            self._remember(self._step.began)
            os.utime(self._lock)

    def _seen(self) -> Seen:
        if (seen := getattr(self._step, "began", None)) is not None:
            return cast("Seen", seen)
        known = self._mirrored()
        if known is None:
            return self._look()
        is_recent = 0 <= time() - self._lock.stat().st_mtime < self._pause  # the clock may have been set back
        if not is_recent and monotonic() >= self._away_until:
            with suppress(BlockingIOError):  # another thread or process is looking
                known = self._look_again() or known
        return known

    def _look_again(self) -> Seen | None:
        """The state in the bucket, None if that doesn't answer, which is logged once; BlockingIOError."""
        self._pause = CHECK_SECONDS * random.uniform(0.75, 1.25)  # noqa: S311, no secret
        try:
            seen = self._look(wait=False)
        except StoreUnavailable as error:
            self._away_until = monotonic() + AWAY_SECONDS
            if not self._is_away:
                logger.warning("the bucket doesn't answer, so versions are those last seen: %s", error.reason)
            self._is_away = True
            return None
        if self._is_away:
            logger.info("%s answers again", self._objects.url)
        self._is_away = False
        return seen

    def _look(self, wait: bool = True) -> Seen:
        """The state in the bucket, which is remembered; without `wait`, BlockingIOError while another process looks."""
        self._root.mkdir(parents=True, exist_ok=True)
        with durable.locked(self._lock, wait):
            known = self._mirrored()
            seen = self._asked(known)
            if seen is not known:
                self._remember(seen)
            os.utime(self._lock)
            return seen

    def _asked(self, known: Seen | None) -> Seen:
        """The state in the bucket, which is `known` itself if it hasn't changed."""
        try:
            content, tag = self._objects.get(STATE, None if known is None else known[1])
        except FileNotFoundError:  # nothing was published yet
            return State(), None
        except Unchanged:
            return cast("Seen", known)  # only a known state has a tag
        return State.from_json(content, f"{self._objects.url}/{STATE}"), tag

    def _remember(self, seen: Seen) -> None:
        """Keep the state for all processes of this machine."""
        state, tag = seen
        durable.replace_text(self._file, json.dumps({"tag": tag, "state": state.to_json().decode()}))

    def _mirrored(self) -> Seen | None:
        """The state that a process of this machine remembered; None if there is none."""
        try:
            found = self._file.stat()
            unchanged = found.st_ino, found.st_size, found.st_mtime_ns
            if self._parsed is None or self._parsed[0] != unchanged:
                content = json.loads(self._file.read_bytes())
                self._parsed = (
                    unchanged,
                    (State.from_json(content["state"].encode(), str(self._file)), content["tag"]),
                )
        except (FileNotFoundError, ValueError, KeyError, TypeError, StoreError):  # missing, or not written by this code
            return None
        return self._parsed[1]
