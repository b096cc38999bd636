"""Whether the service is alive, and whether it can answer."""

from fastapi import APIRouter

from app.errors import NotReady
from app.problems import documented
from app.routes import TheChampion, ThePredictor, TheShutdown
from app.schemas import Live, Ready

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
