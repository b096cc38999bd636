"""FastAPI dependencies and OpenAPI snippets that the endpoints share."""

from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel

from app.api.job_schemas import NO_NUL
from app.errors import NotReady
from app.retraining.datasets import DatasetService
from app.retraining.jobs import JobService
from app.serving.hot_swap import HotSwap
from app.serving.loaded_model import LoadedModel
from app.serving.predictor import Predictor
from app.settings import Settings
from app.shutdown import Shutdown
from catdog import images

PICTURE_HEADERS = {
    "Cache-Control": "private, no-store",  # it may be taken out again, and who may see it is asked each time
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}

Name = Annotated[str, Path(pattern=NO_NUL)]
BYTES = {"type": "string", "format": "binary"}


async def settings(request: Request) -> Settings:
    """What the service was started with."""
    held: Settings = request.app.state.settings
    return held


async def predictor(request: Request) -> Predictor:
    """The one that answers."""
    held: Predictor = request.app.state.predictor
    return held


async def champion(predictor: Annotated[Predictor, Depends(predictor)]) -> LoadedModel:
    """The version in service; 503 where there is none."""
    return predictor.champion


async def shutdown(request: Request) -> Shutdown:
    """Whether the service is about to end."""
    held: Shutdown = request.app.state.shutdown
    return held


async def ready_champion(
    champion: Annotated[LoadedModel, Depends(champion)], shutdown: Annotated[Shutdown, Depends(shutdown)]
) -> LoadedModel:
    """The version in service; 503 without one, and during a shutdown."""
    if shutdown.is_leaving:
        raise NotReady("the service is about to end")
    return champion


async def queue_place(
    champion: Annotated[LoadedModel, Depends(champion)], predictor: Annotated[Predictor, Depends(predictor)]
) -> None:
    """Nothing, but 503 where there is no champion, or no place in its queue."""
    predictor.check_admission()


async def hot_swap(request: Request) -> HotSwap:
    """The one that says which version serves."""
    held: HotSwap = request.app.state.hot_swap
    return held


async def collecting(request: Request) -> DatasetService:
    """The data sets."""
    held: DatasetService = request.app.state.datasets
    return held


async def retraining(request: Request) -> JobService:
    """The queue of jobs."""
    held: JobService = request.app.state.jobs
    return held


SettingsDep = Annotated[Settings, Depends(settings)]
PredictorDep = Annotated[Predictor, Depends(predictor)]
ChampionDep = Annotated[LoadedModel, Depends(champion)]
ReadyChampionDep = Annotated[LoadedModel, Depends(ready_champion)]
HotSwapDep = Annotated[HotSwap, Depends(hot_swap)]
DatasetsDep = Annotated[DatasetService, Depends(collecting)]
ShutdownDep = Annotated[Shutdown, Depends(shutdown)]
JobsDep = Annotated[JobService, Depends(retraining)]


def form(file: dict[str, Any], **fields: dict[str, Any]) -> dict[str, Any]:
    """A form with the field `file` and others, all needed, for the OpenAPI document."""
    properties = {**fields, "file": file}
    return {"schema": {"type": "object", "required": [*properties], "properties": properties}}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """A body that is this model, for the OpenAPI document."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


def picture(photo: bytes) -> Response:
    """The bytes as an image; UnsupportedImage where they aren't one."""
    return Response(photo, media_type=f"image/{images.identify(photo).lower()}", headers=PICTURE_HEADERS)
