"""`GET /model`: the model in service."""

from fastapi import APIRouter, Depends

from app.api.dependencies import TheChampion, TheSettings
from app.api.model_schemas import Model
from app.errors import NotReady, Unauthorized
from app.web.auth import reader
from app.web.problem_details import documented

router = APIRouter(tags=["model"], dependencies=[Depends(reader)])


@router.get("/model", responses=documented(NotReady, Unauthorized))
async def model(champion: TheChampion, settings: TheSettings) -> Model:
    """The version in service: its classes, how good it is, where it comes from."""
    return Model.of(champion.manifest, settings.unknown_keep, precision=champion.engine.precision)
