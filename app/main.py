"""Builds the FastAPI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI
from starlette.datastructures import State

from app.access.settings_record import SettingsRecord
from app.admission import Admission, Bodies
from app.batches.batches import BatchService
from app.deferred_routes import DeferredRoutes, built
from app.label_studio.source import LabelStudio
from app.metrics import JobNumbers, Metrics
from app.privacy.erasure import Erasure
from app.retraining.automatic import AutomaticRetraining
from app.retraining.canary import CanaryRelease
from app.retraining.database import ServiceDatabase
from app.retraining.datasets import DatasetService
from app.retraining.jobs import JobService
from app.retraining.opinions import Opinions
from app.retraining.shadow import Shadow
from app.retraining.upkeep import Upkeep
from app.retraining.worker_process import COMPARER, TRAINER, LocalProcess
from app.serving import engine_selection
from app.serving.hot_swap import POLL_SECONDS, HotSwap
from app.settings import Settings
from app.shutdown import Shutdown
from app.telemetry import tracing
from app.telemetry.instruments import Requests
from app.telemetry.logs import RequestLog
from app.telemetry.request_record import RequestId, RequestRecorder
from app.web import auth, problem_details
from app.web.auditing import Auditing
from app.web.keyring import KeyRing
from app.web.methods import HeadRequests
from app.web.quotas.quotas import Quotas
from app.web.trusted_origin import CrossOriginSharing, TrustedOrigin
from app.webhooks.sender import Webhooks
from catdog import __version__

# Modules with a `router`: those that a service which only predicts needs, and the others.
EARLY = ("app.api.predict", "app.ui.routes", "app.api.monitoring")
LATER = (
    "app.api.jobs.batches",
    "app.api.models",
    "app.api.jobs.comparisons",
    "app.api.datasets",
    "app.api.pictures",
    "app.api.automation.policy",
    "app.api.automation.shadow",
    "app.api.automation.canary",
    "app.api.jobs.retrain",
    "app.api.feedback",
    "app.access.key_routes",
    "app.access.audit_routes",
    "app.webhooks.webhook_routes",
    "app.privacy.privacy_routes",
    "app.label_studio.routes",
    "app.protocols.v2",
    "app.protocols.v1",
)
DESCRIPTION = (
    "Tells cats from dogs in photos. Errors are `application/problem+json` (RFC 9457); below `/v1` and `/v2` they have"
    " the form of the inference protocols."
)


def create_app(
    settings: Settings, hot_swap: HotSwap | None = None, whole: Settings | None = None, defers: bool = False
) -> FastAPI:
    """Build the service with these settings; it loads its model when it starts, unless `hot_swap` has begun to.

    `hot_swap` knows the other processes of the service, if there are any. Then `settings` are the share of
    this one, and `whole` those of the service. With `defers` only the routes of EARLY are built at once.

    Raises SettingsError if the admin key or the engine isn't available, or the URL of the database can't be used.
    """
    settings = engine_selection.settled(settings)
    app = FastAPI(
        title="catdog",
        version=__version__,
        summary=DESCRIPTION,
        docs_url=None,  # FastAPI's own API pages load scripts from other servers
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        routes=[*built(EARLY), *([DeferredRoutes(LATER)] if defers else built(LATER))],
    )
    _add_services(app.state, settings, hot_swap, whole or settings)
    problem_details.install(app)
    _add_middleware(app, settings)
    return app


def _add_services(state: State, settings: Settings, hot_swap: HotSwap | None, whole: Settings) -> None:
    """Build what the routes use; they find it in the application's state by `held`."""
    state.settings = settings
    state.whole_settings = whole
    state.admin_key = auth.admin_key(settings)
    state.database = ServiceDatabase(settings)
    state.keyring = KeyRing(lambda: state.database.keys)
    state.quotas = Quotas(settings)
    state.hot_swap = hot_swap or HotSwap(settings)
    state.siblings = state.hot_swap.siblings
    state.predictor = state.hot_swap.predictor
    state.shutdown = Shutdown()
    state.bodies = Bodies(settings, state.predictor.measurements.overloaded)
    state.parsing = CapacityLimiter(2)  # bodies of tensors parsed at a time: each may need much memory
    state.shadow = Shadow(settings, state.database, state.hot_swap, state.bodies)
    state.canary = CanaryRelease(settings, state.database, state.hot_swap)
    state.datasets = DatasetService(state.database, state.predictor.uploads)
    state.opinions = Opinions(settings, state.database, state.predictor)
    trainer, comparer = (
        LocalProcess(settings, program) if settings.worker != "none" else None for program in (TRAINER, COMPARER)
    )
    state.jobs = JobService(lambda: state.database.jobs, trainer, state.shutdown)
    state.comparisons = JobService(lambda: state.database.comparisons, comparer, state.shutdown)
    state.batches = BatchService(settings, state.database, state.shutdown)
    state.label_studio = LabelStudio(settings)
    state.automatic = AutomaticRetraining(settings, state.database, state.jobs, state.datasets, state.predictor)
    state.erasure = Erasure(settings, state.database, state.predictor)
    state.webhooks = Webhooks(settings, state.database)
    state.hot_swap.within = state.webhooks.within
    steps = {
        "batches": state.batches.clean,
        "comparisons": lambda: state.database.comparisons.prune(settings.keep_jobs_days),
        "the audit log": lambda: state.database.audit.forget(settings.audit_days),
        "events for webhooks": state.webhooks.prune,
        **({"photos deleted elsewhere": state.erasure.follow} if settings.database_url else {}),
    }
    state.upkeep = Upkeep(settings, state.database, state.predictor.uploads, steps)


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    app.add_middleware(HeadRequests)  # the first one is the innermost
    app.add_middleware(TrustedOrigin, settings=settings)
    for layer in (problem_details.UnhandledErrors, Admission):
        app.add_middleware(layer)
    app.add_middleware(Auditing, log=lambda: app.state.database.audit)
    if settings.cors_origins:
        app.add_middleware(CrossOriginSharing, settings=settings)
    _watch(app, settings)
    app.add_middleware(RequestId)  # the last one is the outermost


def _watch(app: FastAPI, settings: Settings) -> None:
    """Report every request to the metrics, the log and the traces."""
    state = app.state
    measured = state.predictor.measurements
    requests = Requests(measured.phase_seconds, measured.rejections)
    state.metrics = Metrics(requests, state.predictor, state.bodies, JobNumbers(state.database), state.siblings)
    state.tracing = tracing.begin()
    listeners = [requests.tell, RequestLog(settings.log_slow_seconds).tell]
    if state.tracing is not None:
        listeners.append(state.tracing.tell)
    app.add_middleware(RequestRecorder, listeners=listeners)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the background tasks; the port is open while the model loads on a thread."""
    async with app.state.siblings.answering():
        await _load_first(app)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.state.hot_swap.follow)
            tasks.start_soon(app.state.shadow.run)
            tasks.start_soon(app.state.canary.run)
            tasks.start_soon(_supervise, app)
            yield
            tasks.cancel_scope.cancel()
    app.state.database.close()  # first: threads may still wait for a database that doesn't answer
    async with anyio.create_task_group() as tasks:  # both at a time: a worker may need STOP_SECONDS
        for jobs in (app.state.jobs, app.state.batches.jobs, app.state.comparisons):
            tasks.start_soon(to_thread.run_sync, jobs.stop)
    app.state.predictor.close()
    app.state.quotas.close()
    if app.state.tracing is not None:
        await to_thread.run_sync(app.state.tracing.close)


async def _load_first(app: FastAPI) -> None:
    """Use the model if it has been loaded already: else requests that are waiting would be answered 503.

    A process of several accepts no request before, unless none of them can load a version.
    """
    hot_swap, siblings = app.state.hot_swap, app.state.siblings
    if hot_swap.has_loaded or siblings.folder is not None:
        await hot_swap.catch_up()
    while app.state.predictor.serving is None and any(await siblings.ask("serves")):
        await anyio.sleep(POLL_SECONDS)
        await hot_swap.catch_up()


async def _supervise(app: FastAPI) -> None:
    """Run what only one process of the service does."""
    state = app.state
    async with state.siblings.leading(), anyio.create_task_group() as tasks:
        tasks.start_soon(state.jobs.supervise)
        tasks.start_soon(state.batches.jobs.supervise)
        tasks.start_soon(state.comparisons.supervise)
        tasks.start_soon(state.automatic.run)
        tasks.start_soon(state.webhooks.run)
        tasks.start_soon(state.upkeep.run)
        tasks.start_soon(SettingsRecord(state.whole_settings, state.database).run)
