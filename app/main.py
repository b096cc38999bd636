"""The service, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio import to_thread
from fastapi import FastAPI

from app import access, engine_choice, problems
from app.collecting import Collecting
from app.last_resort import LastResort
from app.linger import Linger
from app.request_id import RequestId
from app.retraining import Retraining
from app.room import Room
from app.routes import datasets, feedback, health, model, models, predict, queue, retrain
from app.runner import LocalProcess
from app.same_site import SameSite
from app.settings import Settings, SettingsError
from app.succession import Succession
from catdog import __version__
from catdog.database import Database
from catdog.datasets import Datasets
from catdog.errors import DatabaseUnavailable
from catdog.jobs import Jobs

DESCRIPTION = "Tells cats from dogs in photos. Every error is `application/problem+json` (RFC 9457)."


def create_app(settings: Settings, succession: Succession | None = None) -> FastAPI:
    """The service with these settings; it loads its model once it runs, unless `succession` has begun to.

    SettingsError where it can't have a key or its engine, or nothing can be done with its database's URL.
    """
    settings = settings.model_copy(update={"engine": engine_choice.choose(settings).engine})
    app = FastAPI(title="catdog", version=__version__, summary=DESCRIPTION, lifespan=_lifespan, redirect_slashes=False)
    app.state.settings = settings
    app.state.admin_key = access.admin_key(settings)
    app.state.database = _database(settings)
    app.state.succession = succession or Succession(settings)
    app.state.predictor = app.state.succession.predictor
    app.state.receiving = Room(settings.max_uploads)
    app.state.collecting = Collecting(Datasets(app.state.database, settings.data_dir), app.state.predictor.uploads)
    runner = LocalProcess(settings) if settings.worker == "process" else None
    app.state.retraining = Retraining(Jobs(app.state.database), runner)
    for routes in (predict, model, models, queue, datasets, retrain, feedback, health):
        app.include_router(routes.router)
    problems.install(app)
    app.add_middleware(SameSite, settings=settings)
    for layer in (Linger, LastResort, RequestId):  # the last one is the outermost
        app.add_middleware(layer)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The port opens at once, while the model is loaded on a thread."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app.state.succession.follow)
        tasks.start_soon(app.state.retraining.supervise)
        tasks.start_soon(to_thread.run_sync, app.state.collecting.uploads.sweep)  # there may be fewer to keep now
        yield
        tasks.cancel_scope.cancel()
    await to_thread.run_sync(app.state.retraining.stop)
    app.state.predictor.close()
    app.state.database.close()


def _database(settings: Settings) -> Database:
    try:
        return Database.of(settings.data_dir, settings.database_url)
    except DatabaseUnavailable as error:
        raise SettingsError(error.reason) from error
