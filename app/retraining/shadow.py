"""Runs a candidate next to the champion on live photos, and promotes it if its rule holds."""

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic, time
from typing import Final, NamedTuple, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from app.admission import Bodies
from app.retraining.database import ServiceDatabase
from app.serving.hot_swap import HotSwap
from app.serving.trials.shadow import Comparison
from app.settings import Settings
from catdog.audit.change import SERVICE, Change
from catdog.errors import ImageError, NoTrial, PredictionNotFound, StoreError
from catdog.system.failpoints import failpoint
from catdog.versions import trial_rule
from catdog.versions.store import Store
from catdog.versions.trial import TIMED, Labelled, Other, Seen, Trial
from catdog.versions.trial_rule import Limits

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0  # between two looks at the store, which also record what was seen
IDLE_SECONDS: Final = 0.05  # between two looks whether the service is idle
RESTS: Final = 199  # times as long as a comparison took: one request in 200 arrives during one, too few for the p99
LABELS_WAITING: Final = 64

Answer = TypeVar("Answer")


class Label(NamedTuple):
    """Feedback on a prediction."""

    prediction_id: str
    label: str


class Shadow:
    """Follows the store's trial, in every process of the service: each compares photos that it answered itself.

    One of them decides, under the store's lock. A killed process loses at most what it saw in LOOK_SECONDS.
    """

    def __init__(self, settings: Settings, records: ServiceDatabase, hot_swap: HotSwap, bodies: Bodies) -> None:
        self.limits = Limits(settings.shadow_photos, settings.shadow_hours, settings.shadow_agreement)
        self.queue = hot_swap.predictor.shadow
        self._siblings = hot_swap.siblings
        self._siblings.answers["shadow"] = self._queued
        self._records = records
        self._keep = settings.unknown_keep
        self._hot_swap = hot_swap
        self._predictor = hot_swap.predictor
        self._bodies = bodies
        self._store = Store(settings.models)
        self._threads = CapacityLimiter(1)
        self._comparison: Comparison | None = None
        self._began_at = 0.0
        self._is_timed = False
        self._rests_until = 0.0  # on the monotonic clock
        self._labels: deque[Label] = deque(maxlen=LABELS_WAITING)
        self._seen: list[Seen] = []  # since the last look
        self._labelled: dict[str, Labelled] = {}

    async def run(self) -> None:
        """Look and compare until cancelled."""
        logged = ""
        while True:
            problem = ""
            try:
                await self.look()
                await self._compare_until(monotonic() + LOOK_SECONDS)
            except Exception as error:  # any error: predictions must go on
                problem = str(error) or type(error).__name__
                if problem != logged:
                    logger.warning("the trial next to the champion can't go on: %s", problem)
                await anyio.sleep(LOOK_SECONDS)
            logged = problem

    async def look(self) -> None:
        """Record what was seen, end a trial that is over, and load the candidate of one that runs."""
        trial = await self._ask(self._follow)
        comparison = self._comparison
        if comparison is not None and (trial is None or trial.version != comparison.candidate.manifest.version):
            await self._drop()
        champion = self._predictor.serving
        if trial is None or self._comparison is not None or champion is None:
            return
        if champion.manifest.version == trial.champion:  # else the hot swap is about to follow the store
            await self._begin(trial)

    async def latest(self) -> Trial | None:
        """The trial that runs, else the last one; None if there was none."""
        trials = await self._ask(self._store.trials.read)
        running = [trial for trial in trials.values() if trial.is_running]
        ended = sorted(trials.values(), key=lambda trial: trial.ended_at or 0.0)
        return next(iter(running or ended[::-1]), None)

    async def end(self) -> Trial:
        """End the trial that runs, by hand, without a promotion; NoTrial."""

        def ended() -> Trial:
            reason = "not promoted: the trial was ended by hand"
            trial = self._store.trials.running()
            if trial is None or (found := self._ended(trial, reason)) is None:
                raise NoTrial
            return found

        found = await self._ask(ended)
        await self._drop()
        return found

    async def queued(self) -> tuple[int, int]:
        """Photos that wait in all processes, and photos that found a queue full."""
        every = [await self._queued(), *await self._siblings.ask("shadow")]
        return sum(waiting for waiting, _ in every), sum(left_out for _, left_out in every)

    async def _queued(self) -> tuple[int, int]:
        return len(self.queue), self.queue.left_out

    async def disagreed(self) -> dict[str, Other]:
        """What the candidate said of photos to which the champion gave another answer, by prediction.

        Empty without a trial, or if the trials can't be read, which `GET /shadow` reports.
        """
        try:
            trial = await self._ask(self._store.trials.running)
        except StoreError:
            return {}
        return {} if trial is None else trial.disagreed

    def labelled(self, prediction_id: str, label: str) -> None:
        """Compare the answers to this photo too: its class is known now."""
        if self._comparison is not None:
            self._labels.append(Label(prediction_id, label))

    @property
    def _is_idle(self) -> bool:
        """Whether no request waits or is being received."""
        return not self._predictor.admission.taken and not self._bodies.taken

    async def _compare_until(self, end: float) -> None:
        while monotonic() < end:
            if self._comparison is not None and self._is_idle and monotonic() >= self._rests_until:
                await self._ask(self._compare)
            await anyio.sleep(IDLE_SECONDS)

    def _compare(self) -> None:
        """Compare one photo, if there is one, and rest then."""
        began, comparison = monotonic(), self._comparison
        if comparison is not None and self._labels:
            self._compare_labelled(comparison, self._labels.popleft())
        elif comparison is not None and (photo := self.queue.next()) is not None:
            self._seen.append(comparison.seen(photo, self._is_timed))
        else:
            return
        ended = monotonic()
        self._rests_until = ended + RESTS * (ended - began)

    def _compare_labelled(self, comparison: Comparison, given: Label) -> None:
        try:
            kept, photo = self._predictor.uploads.get(given.prediction_id)
            if kept.predicted_at < self._began_at:  # the candidate may have been trained on it
                return
            if (found := comparison.labelled(kept.prediction, photo, given.label)) is not None:
                self._labelled[given.prediction_id] = found
        except (PredictionNotFound, ImageError) as error:
            logger.info("a labelled photo can't be compared: %s", error)

    def _follow(self) -> Trial | None:
        """Bring the store's trial up to date; returns it if it goes on."""
        trial = self._store.trials.running()
        if trial is None:
            return None
        serving = self._store.champion()
        if serving not in (trial.champion, trial.version):
            self._end(trial, f"not promoted: version {serving} was put into service")
            return None
        if serving == trial.version and trial.decision is None:
            self._end(trial, "put into service by hand before the end of its trial")
            return None
        known = self._record(trial)
        if known is not None and known.decision is not None:
            self._carry_out(known)
            return None
        self._is_timed = known is not None and len(known.candidate_seconds) + len(self._seen) < TIMED
        return known

    def _record(self, trial: Trial) -> Trial | None:
        """Add what was seen to the trial, with the decision if it is over; None if it has ended."""
        seen, labelled = self._seen, self._labelled
        self._seen, self._labelled = [], {}
        comparison = self._comparison
        if comparison is None or comparison.candidate.manifest.version != trial.version:
            seen, labelled = [], {}

        def changed(known: Trial) -> Trial:
            if known.decision is not None:
                return known
            new = known.after(seen, labelled)
            if trial_rule.is_over(new, self.limits, time()):
                new = new.decided(trial_rule.decide(new, self.limits))
            return new

        known = self._store.trials.change(trial.version, changed)
        if known is not None and known.decision is not None:
            failpoint("trial.decided")
        return known

    def _carry_out(self, trial: Trial) -> None:
        """Promote the candidate if that was decided, and end the trial. May be repeated after a kill in between."""
        is_promoted, reason = trial.decision is not None and trial.decision.promote, None
        if is_promoted:
            try:
                self._store.promote(trial.version, instead_of=trial.champion, within=self._hot_swap.within)
                failpoint("trial.promoted")
            except StoreError as error:  # another was put into service just now
                is_promoted, reason = False, f"not promoted: {error}"
        self._end(trial, reason, is_promoted)

    def _end(self, trial: Trial, reason: str | None = None, is_promoted: bool = False) -> None:
        """End it, unless another process has, with an entry in the audit log."""
        if (ended := self._ended(trial, reason, is_promoted)) is None:
            return
        details = {"version": ended.version, "champion": ended.champion, "promoted": ended.promoted}
        try:
            self._records.audit.add(Change("end of a trial", SERVICE, details=details))
        except Exception as error:  # any error: the trial has ended
            logger.error("the audit log lacks the end of a trial: %s", getattr(error, "reason", error))

    def _ended(self, trial: Trial, reason: str | None = None, is_promoted: bool = False) -> Trial | None:
        """The trial after its end; None if another process has ended it."""
        ended = self._store.trials.change(trial.version, lambda known: known.ended(time(), reason, is_promoted))
        if ended is not None and ended.decision is not None:
            logger.info("the trial of version %d ended: %s", ended.version, ended.decision.reason)
        return ended

    async def _begin(self, trial: Trial) -> None:
        """Load the candidate; a trial of one that can't be loaded ends."""
        try:
            candidate = await self._hot_swap.prepare(trial.version)
        except StoreError as error:
            reason = f"not promoted: {error}"
            await self._ask(lambda: self._end(trial, reason))
            return
        self._comparison = Comparison(candidate, self._predictor.champion, self._keep)
        self._began_at, self._seen, self._labelled = trial.began_at, [], {}
        self.queue.open(trial.champion)
        logger.info("%s runs beside version %d", candidate, trial.champion)

    async def _drop(self) -> None:
        self.queue.close()
        comparison, self._comparison = self._comparison, None
        self._labels.clear()
        if comparison is not None:
            await self._hot_swap.dismiss(comparison.candidate.manifest.version)

    async def _ask(self, question: Callable[[], Answer]) -> Answer:
        """Call it on a thread, one at a time, which a shutdown doesn't wait for."""
        return await to_thread.run_sync(question, limiter=self._threads, abandon_on_cancel=True)
