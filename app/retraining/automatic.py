"""Starts trainings by themselves, by the policy in the settings."""

import logging
from collections.abc import Callable
from time import time
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from app.errors import TrainerMissing
from app.retraining.database import ServiceDatabase
from app.retraining.datasets import DatasetService
from app.retraining.jobs import JobService
from app.serving.loaded_model import LoadedModel
from app.serving.predictor import Predictor
from app.settings import Settings
from catdog.audit import change
from catdog.audit.change import Change
from catdog.errors import DatasetError
from catdog.jobs.errors import QueueFull
from catdog.jobs.job import Job
from catdog.policy import rules
from catdog.policy.rules import Plan, Policy
from catdog.versions.store import Store

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from catdog.jobs.queue import Automatic
    from catdog.versions.measurements import Measure

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
UNCLEAR = (
    "it isn't clear which data set to train on: the version in service was trained on none of them, and there isn't"
    " exactly one; set CATDOG_RETRAIN_DATASET"
)
NO_DATASET = "there is no data set yet: add pictures to one"
OFF = "no training starts by itself: set CATDOG_RETRAIN_AFTER_LABELS, _ON_DRIFT_HOURS or _SCHEDULE"

Answer = TypeVar("Answer")


class AutomaticRetraining:
    """Looks every LOOK_SECONDS whether a training should start, and records drift.

    Any number of processes may do so with one database: the decision is made in the transaction that queues the job.
    `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        records: ServiceDatabase,
        jobs: JobService,
        datasets: DatasetService,
        predictor: Predictor,
        clock: Callable[[], float] = time,
    ) -> None:
        self.policy = Policy(
            settings.retrain_after_labels,
            settings.retrain_on_drift_hours,
            settings.retrain_schedule,
            settings.retrain_at_most_every,
            settings.retrain_dataset,
        )
        self._promote = settings.retrain_promote
        self._records = records
        self._jobs = jobs
        self._datasets = datasets
        self._predictor = predictor
        self._store = Store(settings.models)
        self._clock = clock
        self._threads = CapacityLimiter(1)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        logged = ""
        while True:
            await anyio.sleep(LOOK_SECONDS)
            try:
                plan = await self.look()
                problem = f"no training starts: {plan.reason}" if plan is not None and plan.is_blocked else ""
            except Exception as error:  # any error: predictions must go on
                problem = f"trainings can't start by themselves: {getattr(error, 'reason', error)}"
            if problem and problem != logged:
                logger.warning("%s", problem)
            logged = problem

    async def look(self) -> Plan | None:
        """Record drift, and start a training if it is time; returns the plan, None without a policy or champion."""
        champion = self._predictor.serving
        if champion is None:
            return None
        drifted = await self._predictor.drifted()
        await self._ask(lambda: self._record_drift(champion, drifted))
        if not self.policy.is_on:
            return None
        plan = await self.plan()
        if plan.trigger is not None and (job := await self._start(champion)) is not None:
            logger.info("training %s starts by itself: %s", job.id, job.trigger)
        return plan

    async def plan(self) -> Plan:
        """What the policy would do now; raises NotReady without a champion."""
        champion = self._predictor.champion
        if not self.policy.is_on:
            return Plan(None, None, OFF, None)
        plan = await self._ask(lambda: self._read_plan(champion))
        if plan.trigger is None or plan.dataset is None:
            return plan
        try:
            self._jobs.check_runner()
            await self._datasets.check_trainable(plan.dataset)
            await self._jobs.check_room()
        except (DatasetError, QueueFull, TrainerMissing) as error:
            reason = f"{plan.trigger}, but {error}"
            return plan._replace(trigger=None, reason=reason, next_at=None, is_blocked=True)
        return plan

    async def _start(self, champion: LoadedModel) -> Job | None:
        """Queue a training; None if another process has just done so."""
        return await self._jobs.accept_if(lambda connection: self._decided(connection, champion))

    def _read_plan(self, champion: LoadedModel) -> Plan:
        with self._records.database.reading() as connection:
            return self._planned(connection, champion)

    def _planned(self, connection: "Connection", champion: LoadedModel) -> Plan:
        from catdog.datasets.rows import names
        from catdog.policy import facts

        dataset = facts.dataset_of(connection, self.policy.dataset, champion.manifest.lineage.job)
        if dataset is None:
            return Plan(None, None, UNCLEAR if names(connection) else NO_DATASET, None)
        return rules.plan(self.policy, facts.read(connection, dataset, champion.manifest.version), self._clock())

    def _decided(self, connection: "Connection", champion: LoadedModel) -> "Automatic | None":
        from catdog.jobs.queue import Automatic

        plan = self._planned(connection, champion)
        if plan.trigger is None:
            return None
        request = {
            "dataset": plan.dataset,
            "strategy": "head",
            "backbone": "auto",
            "promote": self._promote,
            "notes": "",
        }
        change.begin(Change("automatic training", change.SERVICE, details={"trigger": plan.trigger}))  # of this thread
        return Automatic(request, plan.trigger)

    def _record_drift(self, champion: LoadedModel, drifted: "tuple[Measure, ...]") -> None:
        from catdog.policy import drift_record

        version = champion.manifest.version
        if version == self._store.champion():  # else a hot swap hasn't reached this process yet
            drift_record.tell(self._records.database, version, drifted, self._clock())

    async def _ask(self, question: Callable[[], Answer]) -> Answer:
        """Call it on a thread, which a shutdown doesn't wait for."""
        return await to_thread.run_sync(question, limiter=self._threads, abandon_on_cancel=True)
