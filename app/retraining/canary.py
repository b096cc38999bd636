"""Lets a candidate answer a share of the clients, and rolls it back if its numbers exceed the limits."""

import logging
from collections.abc import Callable, Mapping
from time import time
from typing import Final, TypeVar

import anyio
from anyio import CapacityLimiter, Lock, to_thread

from app.retraining.database import ServiceDatabase
from app.serving.hot_swap import HotSwap
from app.settings import Settings
from catdog.audit.change import SERVICE, Change
from catdog.errors import CanaryExists, NoCanary, OtherClasses, StoreError, VersionInService
from catdog.system.repeating import repeated
from catdog.versions import canary
from catdog.versions.canary import Canary, Limits, Side
from catdog.versions.store import Store

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0  # between two looks at the store, which also record and judge the numbers

Answer = TypeVar("Answer")


class CanaryRelease:
    """Follows the store's canary, in every process of the service: each adds the numbers of its own answers.

    One of them rolls back, under the store's lock; the others follow within LOOK_SECONDS.
    """

    def __init__(self, settings: Settings, records: ServiceDatabase, hot_swap: HotSwap) -> None:
        self.limits = Limits(
            settings.canary_photos, settings.canary_errors, settings.canary_unknown, settings.canary_latency
        )
        self.traffic = hot_swap.predictor.canary
        self._records = records
        self._hot_swap = hot_swap
        self._store = Store(settings.models)
        self._canaries = self._store.canaries
        self._threads = CapacityLimiter(1)
        self._looking = Lock()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        logged = ""
        while True:
            problem = ""
            try:
                await self.look()
            except Exception as error:  # any error: predictions must go on
                problem = str(error) or type(error).__name__
                if problem != logged:
                    logger.warning("the canary can't be followed: %s", problem)
            logged = problem
            await anyio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Add the numbers of this process, end a canary that is over, and load the candidate of one that runs."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        sides = self.traffic.take()
        running = await self._ask(lambda: self._follow(sides))
        candidate, serving = self.traffic.candidate, self._hot_swap.predictor.serving
        if candidate is not None and (running is None or running.version != candidate.manifest.version):
            self.traffic.close()
            await self._hot_swap.dismiss(candidate.manifest.version)
            candidate = None
        if running is None or serving is None or serving.manifest.version != running.champion:
            return
        try:
            loaded = candidate or await self._hot_swap.prepare(running.version)
        except StoreError as error:
            reason = str(error)
            await self._ask(lambda: self._end(running, reason, is_rolled_back=True))
            return
        self.traffic.open(loaded, running.champion, running.share)

    async def begin(self, version: int, share: float, limits: Limits | None = None) -> Canary:
        """Let the version answer that share; of a canary that runs already, change the share. StoreError.

        `limits` are its own, None for those that it has, by default those of the settings.
        """
        begun = await self._ask(lambda: self._begin(version, share, limits))
        await self.look()
        return begun

    async def latest(self) -> Canary | None:
        """The canary that runs, else the last one; None if there was none."""
        return await self._ask(self._canaries.read)

    async def end(self) -> Canary:
        """End the canary that runs: the champion answers every client; NoCanary."""

        def ended() -> Canary | None:
            running = self._canaries.running()
            if running is None:
                return None
            return self._canaries.change(running.version, lambda known: known.ended("it was ended by hand"))

        if (found := await self._ask(ended)) is None:
            raise NoCanary
        await self.look()
        return found

    @repeated
    def _begin(self, version: int, share: float, limits: Limits | None) -> Canary:
        with self._store.unchanged():
            champion = self._store.champion()
            if version == champion:
                raise VersionInService(version)
            opened, serving = self._store.open(version), self._store.open(champion)
            opened.verify()
            if opened.manifest.classes != serving.manifest.classes:
                raise OtherClasses(version, champion)
            running = self._canaries.running()
            if running is not None and running.version != version:
                raise CanaryExists(running.version)
            begun = running or Canary(version=version, champion=champion, share=share, began_at=time())
            begun = begun.model_copy(update={"share": share, "limits": limits or begun.limits})
            self._canaries.write(begun)
        return begun

    def _follow(self, sides: Mapping[int, Side]) -> Canary | None:
        """Bring the store's canary up to date; returns it if it goes on."""
        running = self._canaries.running()
        if running is None:
            return None
        serving = self._store.champion()
        if running.version not in self._store.versions():
            self._end(running, f"version {running.version} was deleted")
            return None
        if serving != running.champion:
            self._end(running, f"version {serving} was put into service")
            return None
        known = self._canaries.change(running.version, lambda one: one.plus(sides)) if sides else running
        broken = [] if known is None else [each for each in canary.rules(known, self.limits) if not each.passed]
        if known is not None and broken:
            self._end(known, "; ".join(each.sentence for each in broken), is_rolled_back=True)
            return None
        return known

    def _end(self, running: Canary, reason: str, is_rolled_back: bool = False) -> None:
        """End it, unless another process has; a rollback is logged and gets an entry in the audit log."""
        ended = self._canaries.change(running.version, lambda known: known.ended(reason, is_rolled_back))
        if ended is None:
            return
        level = logging.WARNING if is_rolled_back else logging.INFO
        logger.log(level, "the canary of version %d ended: %s", ended.version, reason)
        try:
            details = {"version": ended.version, "rolled_back": is_rolled_back, "reason": reason}
            self._records.audit.add(Change("end of a canary", SERVICE, details=details))
        except Exception as error:  # any error: the canary has ended
            logger.error("the audit log lacks the end of a canary: %s", getattr(error, "reason", error))

    async def _ask(self, question: Callable[[], Answer]) -> Answer:
        """Call it on a thread, one at a time, which a shutdown doesn't wait for."""
        return await to_thread.run_sync(question, limiter=self._threads, abandon_on_cancel=True)
