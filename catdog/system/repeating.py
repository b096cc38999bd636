"""Repeats steps on an object store: while other machines are faster, and while the store is away."""

import logging
import random
from collections.abc import Callable
from functools import wraps
from time import monotonic, sleep
from typing import Final, ParamSpec, TypeVar

from catdog.errors import StoreUnavailable
from catdog.system.object_store import Conflict

logger = logging.getLogger(__name__)

CONTENDED_SECONDS: Final = 120.0  # for which a step is repeated while other machines are faster
PAUSES: Final = 0.02, 4.0  # seconds before a repetition: up to the first, doubled each time up to the second
PATIENCE_SECONDS: Final = 300.0  # for which a step is repeated while the store is away
AWAY_SECONDS: Final = 2.0  # before such a repetition

P = ParamSpec("P")
Result = TypeVar("Result")


def repeated(step: Callable[P, Result]) -> Callable[P, Result]:
    """Let a step repeat itself if another machine changes what it is about in the meantime; StoreUnavailable."""

    @wraps(step)
    def run(*args: P.args, **kwargs: P.kwargs) -> Result:
        until, (pause, longest) = monotonic() + CONTENDED_SECONDS, PAUSES
        while True:
            try:
                return step(*args, **kwargs)
            except Conflict as error:
                if monotonic() > until:
                    raise StoreUnavailable("other machines change its state all the time") from error
            sleep(random.uniform(0, pause))  # noqa: S311, no secret
            pause = min(2 * pause, longest)

    return run


def patiently(step: Callable[[], Result]) -> Result:
    """Repeat a step while the store is away, for a job of which much would be lost; StoreUnavailable after a while."""
    until = monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return step()
        except StoreUnavailable as error:
            if monotonic() > until:
                raise
            logger.warning("waiting for the object store: %s", error.reason)
        sleep(AWAY_SECONDS)
