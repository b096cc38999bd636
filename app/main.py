"""The service, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI

from app import problems
from app.last_resort import LastResort
from app.linger import Linger
from app.loading import start
from app.predictor import Predictor
from app.request_id import RequestId
from app.routes import health, model, predict
from app.settings import Settings

DESCRIPTION = "Tells cats from dogs in photos. Every error is `application/problem+json` (RFC 9457)."


def create_app(settings: Settings) -> FastAPI:
    """The service with these settings; it loads its model once it runs."""
    app = FastAPI(title="catdog", summary=DESCRIPTION, lifespan=_lifespan, redirect_slashes=False)
    app.state.settings = settings
    app.state.predictor = Predictor()
    for routes in (predict, model, health):
        app.include_router(routes.router)
    problems.install(app)
    for layer in (Linger, LastResort, RequestId):  # the last one is the outermost
        app.add_middleware(layer)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The port opens at once, while the model is loaded on a thread."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start, app.state.predictor, app.state.settings)
        yield
        tasks.cancel_scope.cancel()
