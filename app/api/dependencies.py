"""FastAPI dependencies and OpenAPI snippets that the endpoints share."""

from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel

from app.api.jobs.job_schemas import NO_NUL
from app.batches.batches import BatchService
from app.errors import NotReady
from app.retraining.datasets import DatasetService
from app.retraining.jobs import JobService
from app.retraining.opinions import Opinions
from app.retraining.shadow import Shadow
from app.serving.hot_swap import HotSwap
from app.serving.loaded_model import LoadedModel
from app.serving.predictor import Predictor
from app.settings import Settings
from app.shutdown import Shutdown
from catdog import images

PICTURE_HEADERS = {
    "Cache-Control": "private, no-store",  # it may be removed, and the key is checked each time
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}

Name = Annotated[str, Path(pattern=NO_NUL)]
Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
BYTES = {"type": "string", "format": "binary"}


def held(name: str) -> Any:
    """A dependency on an attribute of the application's state."""

    async def get(request: Request) -> Any:
        return getattr(request.app.state, name)

    return Depends(get)


SettingsDep = Annotated[Settings, held("settings")]
PredictorDep = Annotated[Predictor, held("predictor")]
HotSwapDep = Annotated[HotSwap, held("hot_swap")]
DatasetsDep = Annotated[DatasetService, held("datasets")]
BatchesDep = Annotated[BatchService, held("batches")]
OpinionsDep = Annotated[Opinions, held("opinions")]
ComparisonsDep = Annotated[JobService, held("comparisons")]
JobsDep = Annotated[JobService, held("jobs")]
ShadowDep = Annotated[Shadow, held("shadow")]
ShutdownDep = Annotated[Shutdown, held("shutdown")]


async def champion(predictor: PredictorDep) -> LoadedModel:
    """The version in service; 503 if there is none."""
    return predictor.champion


ChampionDep = Annotated[LoadedModel, Depends(champion)]


async def ready_champion(champion: ChampionDep, shutdown: ShutdownDep) -> LoadedModel:
    """The version in service; 503 without one, and during a shutdown."""
    if shutdown.ends_service:
        raise NotReady("the service is shutting down")
    return champion


ReadyChampionDep = Annotated[LoadedModel, Depends(ready_champion)]


async def queue_place(champion: ChampionDep, predictor: PredictorDep) -> None:
    """Raises NotReady if there is no champion, and Overloaded if its queue is full."""
    predictor.check_admission()


def form(file: dict[str, Any], **fields: dict[str, Any]) -> dict[str, Any]:
    """A form with the field `file` and others, all required, for the OpenAPI document."""
    properties = {**fields, "file": file}
    return {"schema": {"type": "object", "required": [*properties], "properties": properties}}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """A JSON body of this model, for the OpenAPI document.

    The types of its fields must occur in an answer too, because FastAPI defines only those in the document.
    """
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def picture(photo: bytes) -> Response:
    """The bytes as an image; UnsupportedImage if they aren't one."""
    return Response(photo, media_type=f"image/{images.identify(photo).lower()}", headers=PICTURE_HEADERS)
