"""Liveness and readiness probes."""

from fastapi import APIRouter

from app.api.dependencies import TheChampion, ThePredictor, TheShutdown
from app.errors import NotReady
from app.serving.prediction import Live, Ready
from app.web.problem_details import documented

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", responses=documented())
async def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/ready", responses=documented(NotReady))
async def ready(champion: TheChampion, predictor: ThePredictor, shutdown: TheShutdown) -> Ready:
    """A model is loaded and has answered once, and the service isn't about to end; else 503, with the reason."""
    if shutdown.is_leaving:
        raise NotReady("the service is about to end")
    return Ready(model_version=champion.manifest.version, problem=predictor.problem)
