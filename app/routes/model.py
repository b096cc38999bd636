"""The model in service."""

from fastapi import APIRouter

from app.errors import NotReady
from app.problems import documented
from app.routes import TheChampion
from app.schemas import Model

router = APIRouter(tags=["model"])


@router.head("/model", include_in_schema=False)
@router.get("/model", responses=documented(NotReady))
async def model(champion: TheChampion) -> Model:
    """The version in service: its classes, how good it is, where it comes from."""
    return Model.of(champion.manifest, champion.engine.precision)
