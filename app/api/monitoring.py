"""Endpoints for monitoring: probes, Prometheus metrics, the queue and drift."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from app.api.dependencies import ChampionDep, PredictorDep, ReadyChampionDep
from app.errors import NotReady, Unauthorized
from app.metrics import Metrics
from app.serving.drift import HOURS, Shift
from app.serving.queue_stats import QueueState
from app.web.auth import reader
from app.web.problem_details import documented

router = APIRouter()


class Live(BaseModel, frozen=True):
    """The process answers."""

    live: Literal[True] = True


class Ready(BaseModel, frozen=True):
    """A champion is loaded and has answered once."""

    ready: Literal[True] = True
    model_version: int
    problem: str | None = Field(
        description="Why the store's champion can't be loaded, if another version serves instead."
    )


class Drift(BaseModel, frozen=True):
    """Whether recent photos are like the validation photos of the version in service."""

    model_version: int
    hours: int = Field(description="Length of the period in hours; its oldest five minutes may be missing.")
    shifts: tuple[Shift, ...] = Field(
        description="One per measure; none if the version was published without the histograms."
    )


@router.get("/queue", tags=["model"], dependencies=[Depends(reader)], responses=documented(Unauthorized))
async def queue(predictor: PredictorDep) -> QueueState:
    """Photos that wait, times and batch sizes of the last ones, and numbers of refused ones."""
    return await predictor.queues()


@router.get(
    "/drift",
    tags=["model"],
    dependencies=[Depends(reader)],
    responses=documented(NotReady, Unauthorized, RequestValidationError),
)
async def drift(
    champion: ChampionDep, predictor: PredictorDep, hours: Annotated[int, Query(ge=1, le=HOURS)] = 1
) -> Drift:
    """How far the answers of the last hours have drifted from those to the validation photos."""
    return Drift(model_version=champion.manifest.version, hours=hours, shifts=await predictor.drift(hours))


@router.get("/health/live", tags=["health"], responses=documented())
async def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/health/ready", tags=["health"], responses=documented(NotReady))
async def ready(champion: ReadyChampionDep, predictor: PredictorDep) -> Ready:
    """A model is loaded and has answered once, and the service isn't shutting down; else 503, with the reason."""
    return Ready(model_version=champion.manifest.version, problem=predictor.problem)


@router.get(
    "/metrics",
    tags=["health"],
    dependencies=[Depends(reader)],
    response_class=PlainTextResponse,
    responses=documented(Unauthorized),
)
async def metrics(request: Request) -> Response:
    """Requests, latencies, the queue, the model and trainings, in Prometheus's text format or OpenMetrics."""
    held: Metrics = request.app.state.metrics
    page, media_type = await held.page(request.headers.get("accept", ""))
    return Response(page, headers={"Content-Type": media_type})
