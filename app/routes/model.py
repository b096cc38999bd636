"""The model in service."""

from fastapi import APIRouter, Depends

from app.access import reader
from app.errors import NotReady, Unauthorized
from app.model_schemas import Model
from app.problems import documented
from app.routes import TheChampion, TheSettings

router = APIRouter(tags=["model"], dependencies=[Depends(reader)])


@router.get("/model", responses=documented(NotReady, Unauthorized))
async def model(champion: TheChampion, settings: TheSettings) -> Model:
    """The version in service: its classes, how good it is, where it comes from."""
    return Model.of(champion.manifest, settings.unknown_keep, precision=champion.engine.precision)
