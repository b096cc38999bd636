"""Hot-swaps the model when the store's champion changes."""

import logging
import random
from collections.abc import Callable, Set
from contextlib import nullcontext, suppress
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
from app.siblings import Siblings
from catdog.audit import change
from catdog.errors import StoreError, StoreUnavailable, VersionInService
from catdog.versions.store import Store, Within

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
RETRY_SECONDS = 5.0  # between attempts at a version that couldn't be loaded
LOAD_SECONDS = 10.0  # limit for other processes to load a version
# Replicas that follow an object store load a new champion at a random moment within so many times the duration of the
# last load. So at most about a tenth of them load at once, which takes processor time: docs/decisions/serving/0023
SPREAD = 12

Result = TypeVar("Result")


class HotSwap:
    """Decides which model serves: follows the store's champion, and promotes, rolls back, loads and unloads versions.

    One step runs at a time, on a thread. The next version is loaded while the one in service keeps answering; requests
    that are running at the swap finish on the old one. Heads on the same graph stay loaded, because each is only a few
    kilobytes, so that a rollback among them loads nothing.

    After a change, the other processes of the service are asked to catch up before it is answered.
    """

    def __init__(
        self, settings: Settings, loader: VersionLoader | None = None, siblings: Siblings | None = None
    ) -> None:
        self.siblings = siblings or Siblings()
        self.siblings.answers["catch up"] = self.catch_up
        self.predictor = Predictor(settings, self.siblings)
        self._settings = settings
        self._store = Store(settings.models)
        self._loader = loader or VersionLoader(self._store, settings)
        self._memory = UnusedMemory(self._store.root.resolve())
        self._turn = CapacityLimiter(1)
        self._step = Lock()  # held by the thread: an abandoned step may still be running
        self.within: Within = nullcontext  # in which the store's champion is changed
        self._failed: int | None = None  # the last version that couldn't be loaded
        self._retry_at = 0.0  # when it may be tried again, on the monotonic clock
        self._load_at: float | None = None  # when to load the champion of an object store, on the same clock
        self._logged: str | None = None  # the reason that was logged for it
        self._prepared: dict[int, LoadedModel] = {}  # loaded on trial, by version
        self._heads: dict[int, LoadedModel] = {}  # that have served on the graph in service, by version

    @property
    def has_loaded(self) -> bool:
        """Whether a load that its loader has begun has ended, and that version doesn't serve yet."""
        return self._loader.has_begun_and_ended

    async def follow(self) -> None:
        """Serve the store's champion, until cancelled; a version that can't be loaded is tried again later."""
        if self.predictor.serving is not None:  # the first answer is more urgent
            await anyio.sleep(POLL_SECONDS)
        while True:
            await self._alone(self._follow, is_awaited=False)
            await anyio.sleep(POLL_SECONDS)

    async def catch_up(self) -> None:
        """Serve the store's champion now, if it can be loaded, instead of at the next poll of `follow`."""
        await self._alone(lambda: self._follow(is_urgent=True), is_awaited=False)

    async def catch_up_together(self) -> None:
        """Let every process of the service catch up."""
        await self.catch_up()
        await self._tell_siblings()

    async def promote(self, version: int) -> LoadedModel:
        """Load a version and put it into service; if it can't serve, StoreError, and nothing has changed."""
        champion = await self._alone(lambda: self._promote(version))
        await self._tell_siblings()
        return champion

    async def roll_back(self) -> LoadedModel:
        """Put the previous champion into service; if it can't serve, StoreError, and nothing has changed."""
        champion = await self._alone(self._roll_back)
        await self._tell_siblings()
        return champion

    async def load(self, version: int | None) -> LoadedModel:
        """Load a version in addition to the champion, until it is unloaded; StoreError if it can't be loaded.

        None is the champion, which is always loaded; NotReady if it isn't.
        """
        if version is None:
            await self.catch_up_together()
            return self.predictor.champion
        loaded = await self._alone(lambda: self._load_beside(version))
        await self._tell_siblings()
        return loaded

    async def prepare(self, version: int) -> LoadedModel:
        """Load a version that is on trial, until `dismiss`; StoreError if it can't be loaded."""
        return await self._alone(lambda: self._prepare(version), is_awaited=False)

    async def dismiss(self, version: int) -> None:
        """Free a version that `prepare` loaded, unless it serves."""
        await self._alone(lambda: self._dismiss(version))

    async def unload(self, version: int | None) -> int:
        """Unload a version and return its number; VersionNotLoaded, or VersionInService for the champion and None."""
        unloaded = await self._alone(lambda: self._unload(version))
        await self._tell_siblings()
        return unloaded

    async def _tell_siblings(self) -> None:
        """Let the other processes catch up; one that takes longer does so by itself."""
        await self.siblings.ask("catch up", LOAD_SECONDS)

    async def _alone(self, step: Callable[[], Result], is_awaited: bool = True) -> Result:
        """Run a step on a thread, after any other; unless `is_awaited`, cancelling abandons it."""

        def take() -> Result:
            with self._step:
                return step()

        return await to_thread.run_sync(take, limiter=self._turn, abandon_on_cancel=not is_awaited)

    def _follow(self, is_urgent: bool = False) -> None:
        if (serving := self.predictor.serving) is not None:  # until then the load is most urgent
            if serving.unconfirmed is not None:
                self.predictor.serving = share(serving, self._settings)
            self._memory.return_memory()
        try:
            self._catch_up(is_urgent)
        except Exception as error:  # any error: the version in service keeps serving
            self._tell(error)
        if (wanted := self.siblings.loaded()) is not None:
            self._match(wanted)

    def _catch_up(self, is_urgent: bool) -> None:
        version = self._store.champion()
        if version == self._failed and monotonic() < self._retry_at:
            return
        if not is_urgent and self._must_wait(version):
            return
        self._load_at = None
        self._failed, self._retry_at = version, monotonic() + RETRY_SECONDS
        self._take_over(self._loaded(version))

    def _must_wait(self, version: int) -> bool:
        """Whether other replicas may load this version first."""
        serving = self.predictor.serving
        if not self._store.place.is_remote or serving is None or serving.manifest.version == version:
            return False
        if self._known(version):
            return False
        if self._load_at is None:
            self._load_at = monotonic() + random.uniform(0, SPREAD * self._loader.seconds)  # noqa: S311, no secret
        return monotonic() < self._load_at

    def _match(self, wanted: Set[int]) -> None:
        """Load and unload versions as another process did on request."""
        others = self.predictor.others
        for version in others.keys() - wanted:
            self._memory.replaced(others[version])
        kept = {version: loaded for version, loaded in others.items() if version in wanted}
        self.predictor.others = kept
        for version in sorted(wanted - kept.keys()):
            try:
                self.predictor.others = {**self.predictor.others, version: self._loaded(version)}
            except Exception as error:  # it was deleted, or damaged, or the memory isn't enough
                logger.error("version %d can't be loaded as another process has: %s", version, error)
                self.siblings.change_loaded(version, is_loaded=False)

    def _promote(self, version: int) -> LoadedModel:
        champion = self._loaded(version)
        change.note(version=version, before=next(iter(self._store.champions()), None))
        self._store.promote(version, within=self.within)
        self._take_over(champion)
        return champion

    def _roll_back(self) -> LoadedModel:
        before = self._store.champion()
        version = self._store.roll_back(self.within)
        change.note(version=version, before=before)
        try:
            champion = self._loaded(version)
        except Exception:
            with suppress(StoreError, StoreUnavailable):  # another was promoted in the meantime, and stays
                self._store.promote(before, instead_of=version, within=self.within)
            raise
        self._take_over(champion)
        return champion

    def _load_beside(self, version: int) -> LoadedModel:
        loaded = self._loaded(version)
        self.predictor.others = {**self.predictor.others, version: loaded}
        self.siblings.change_loaded(version, is_loaded=True)
        return loaded

    def _prepare(self, version: int) -> LoadedModel:
        self._prepared[version] = prepared = self._loaded(version)
        return prepared

    def _dismiss(self, version: int) -> None:
        prepared = self._prepared.pop(version, None)
        if prepared is not None and prepared is not self.predictor.serving:
            self._memory.replaced(prepared)

    def _unload(self, version: int | None) -> int:
        unloaded = self.predictor.loaded(str(version or ""))
        number = unloaded.manifest.version
        serving = self.predictor.serving
        if serving is not None and serving.manifest.version == number:
            raise VersionInService(number)
        self.siblings.change_loaded(number, is_loaded=False)
        self.predictor.others = {each: kept for each, kept in self.predictor.others.items() if each != number}
        self._memory.replaced(unloaded)
        return number

    def _loaded(self, version: int) -> LoadedModel:
        """The version, loaded: the one in service, or another that is ready to replace it."""
        serving = self.predictor.serving
        if serving is not None and serving.manifest.version == version:
            return serving
        if (known := self._known(version)) is not None:
            self._store.open(version).verify()  # it may have been damaged or deleted since
            return known
        try:
            return self._loader.load(version, serving)
        finally:
            self._memory.loaded()

    def _known(self, version: int) -> LoadedModel | None:
        """The version, if it is in memory."""
        return self._prepared.get(version) or self._heads.get(version) or self.predictor.others.get(version)

    def _take_over(self, champion: LoadedModel) -> None:
        """Put a loaded version into service: swap one reference."""
        old = self.predictor.serving
        self.predictor.problem = self._failed = self._logged = None
        if champion is old:
            return
        self.predictor.swap(champion)
        if old is not None and champion.is_on_the_graph_of(old):
            self._heads |= {each.manifest.version: each for each in (old, champion)}
            self._memory.replaced(None)
        else:
            self._heads = {}
            self._memory.replaced(old)
        logger.info("%s serves %s", self._settings.address, champion)

    def _tell(self, error: Exception) -> None:
        """Report once, to the predictor and the log, why the store's champion can't serve."""
        reason = " ".join(str(error).split()) or type(error).__name__
        # A StoreError is about versions; the text of any other error may reveal details of this machine.
        problem = reason if isinstance(error, StoreError) else "the model can't be loaded; the log has the reason"
        self.predictor.problem = problem
        if reason != self._logged:
            serving = self.predictor.serving
            goes_on = f"keeps serving version {serving.manifest.version}" if serving else "is up but not ready"
            logger.error("%s %s: %s", self._settings.address, goes_on, reason)
        self._logged = reason
