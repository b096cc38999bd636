"""Hot-swaps the model when the store's champion changes."""

import gc
import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from app.serving.loaded_model import LoadedModel
from app.serving.loader import VersionLoader, share
from app.serving.os_tuning import UnusedMemory
from app.serving.predictor import Predictor
from app.settings import Settings
from catdog.errors import StoreError, VersionInService
from catdog.versions.store import Store

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
RETRY_SECONDS = 5.0  # between attempts at a version that couldn't be loaded

Result = TypeVar("Result")


class HotSwap:
    """Decides which model serves: follows the store's champion, and promotes, rolls back, loads and unloads versions.

    One step at a time, on a thread. The next version is loaded while the one in service goes on answering; requests
    that are running at the swap end on the old one. Heads on the same graph stay loaded, because each is a few
    kilobytes: a rollback among them loads nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self.predictor = Predictor(settings)
        self._settings = settings
        self._store = Store(settings.models_dir)
        self._loader = VersionLoader(self._store, settings)
        self._memory = UnusedMemory(settings.models_dir.resolve())
        self._turn = CapacityLimiter(1)
        self._step = Lock()  # held by its thread: a step that nobody awaits any more is still running
        self._failed: int | None = None  # the version that couldn't be loaded last
        self._retry_at = 0.0  # when it may be tried again, on the monotonic clock
        self._logged: str | None = None  # why it couldn't
        self._heads: dict[int, LoadedModel] = {}  # those that have served on the graph in service, by version

    def begin(self) -> "Future[LoadedModel]":
        """Load the store's champion on a thread, now; `follow` serves it, or tells why it can't."""
        return self._loader.begin()

    @property
    def has_loaded(self) -> bool:
        """Whether the load that was begun has ended, and nothing serves yet."""
        return self._loader.has_begun_and_ended

    async def follow(self) -> None:
        """Serve the store's champion, until cancelled; what can't be loaded is tried again, for it may be mended."""
        if self.predictor.serving is not None:  # so what else there is to do is less urgent than the first answer
            await anyio.sleep(POLL_SECONDS)
        while True:
            await self.catch_up()
            await anyio.sleep(POLL_SECONDS)

    async def catch_up(self) -> None:
        """Serve the store's champion now, where that can be; `follow` would soon."""
        await self._alone(self._follow, is_awaited=False)

    async def promote(self, version: int) -> LoadedModel:
        """Put a version into service that has shown that it can serve; else StoreError, and nothing has changed."""
        return await self._alone(lambda: self._promote(version))

    async def roll_back(self) -> LoadedModel:
        """Put the champion before this one into service; StoreError, and nothing has changed, where it can't serve."""
        return await self._alone(self._roll_back)

    async def load(self, version: int | None) -> LoadedModel:
        """Load a version beside the champion, and keep it until it is unloaded; StoreError where it can't be loaded.

        None is the champion, which is loaded anyway; NotReady where it isn't.
        """
        if version is None:
            await self.catch_up()
            return self.predictor.champion
        return await self._alone(lambda: self._load_beside(version))

    async def unload(self, version: int | None) -> int:
        """Unload a version and return its number; VersionNotLoaded, VersionInService for the champion, as None is."""
        return await self._alone(lambda: self._unload(version))

    async def _alone(self, step: Callable[[], Result], is_awaited: bool = True) -> Result:
        """Take a step on a thread, once no other is being taken; who doesn't await it may leave before its end."""

        def take() -> Result:
            with self._step:
                return step()

        return await to_thread.run_sync(take, limiter=self._turn, abandon_on_cancel=not is_awaited)

    def _follow(self) -> None:
        if (serving := self.predictor.serving) is not None:  # before that nothing else is as urgent
            if serving.untried is not None:
                self.predictor.serving = share(serving, self._settings)
            self._memory.return_memory()
        try:
            self._catch_up()
        except Exception as error:  # whatever it is, the version in service goes on
            self._tell(error)

    def _catch_up(self) -> None:
        version = self._store.champion()
        if version == self._failed and monotonic() < self._retry_at:
            return
        self._failed, self._retry_at = version, monotonic() + RETRY_SECONDS
        self._take_over(self._loaded(version))

    def _promote(self, version: int) -> LoadedModel:
        champion = self._loaded(version)
        self._store.promote(version)
        self._take_over(champion)
        return champion

    def _roll_back(self) -> LoadedModel:
        before = self._store.champion()
        version = self._store.roll_back()
        try:
            champion = self._loaded(version)
        except Exception:
            with suppress(StoreError):  # another was promoted meanwhile, which then stands
                self._store.promote(before, instead_of=version)
            raise
        self._take_over(champion)
        return champion

    def _load_beside(self, version: int) -> LoadedModel:
        loaded = self._loaded(version)
        self.predictor.beside = {**self.predictor.beside, version: loaded}
        return loaded

    def _unload(self, version: int | None) -> int:
        unloaded = self.predictor.loaded(str(version or ""))
        number = unloaded.manifest.version
        serving = self.predictor.serving
        if serving is not None and serving.manifest.version == number:
            raise VersionInService(number)
        self.predictor.beside = {each: kept for each, kept in self.predictor.beside.items() if each != number}
        self._memory.replaced(unloaded)
        return number

    def _loaded(self, version: int) -> LoadedModel:
        """The version in service, or another that is ready to take over."""
        serving = self.predictor.serving
        if serving is not None and serving.manifest.version == version:
            return serving
        if (known := self._heads.get(version) or self.predictor.beside.get(version)) is not None:
            self._store.open(version).verify()  # it may have been damaged, or deleted, since
            return known
        try:
            return self._loader.load(version, serving)
        finally:
            self._memory.loaded()

    def _take_over(self, champion: LoadedModel) -> None:
        """Swap one reference."""
        old = self.predictor.serving
        self.predictor.problem = self._failed = self._logged = None
        if champion is old:
            return
        self.predictor.swap(champion)
        if old is None:
            gc.freeze()  # else each full collection looks at all that lives as long as the service: a pause for all
        if old is not None and champion.is_on_the_graph_of(old):
            self._heads |= {each.manifest.version: each for each in (old, champion)}
            self._memory.replaced(None)
        else:
            self._heads = {}
            self._memory.replaced(old)
        logger.info("%s serves %s", self._settings.address, champion)

    def _tell(self, error: Exception) -> None:
        """Tell the predictor and the log, in one line, why the store's champion can't serve, unless they know."""
        reason = " ".join(str(error).split()) or type(error).__name__
        # A StoreError speaks of versions; what else went wrong may speak of this machine.
        told = reason if isinstance(error, StoreError) else "the model can't be loaded; the log says why"
        self.predictor.problem = told
        if reason != self._logged:
            serving = self.predictor.serving
            goes_on = f"goes on with version {serving.manifest.version}" if serving else "is up but not ready"
            logger.error("%s %s: %s", self._settings.address, goes_on, reason)
        self._logged = reason
