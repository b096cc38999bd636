"""`GET /drift`: how the distribution of recent answers differs from the validation photos'."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.exceptions import RequestValidationError

from app.api.dependencies import TheChampion
from app.api.drift_schemas import Drift
from app.errors import NotReady, Unauthorized
from app.serving.drift import HOURS
from app.web.auth import reader
from app.web.problem_details import documented

router = APIRouter(tags=["model"], dependencies=[Depends(reader)])


@router.get("/drift", responses=documented(NotReady, Unauthorized, RequestValidationError))
async def drift(champion: TheChampion, hours: Annotated[int, Query(ge=1, le=HOURS)] = 1) -> Drift:
    """How far answers of the last hours have moved from those to the photos that validated the version in service."""
    return Drift(model_version=champion.manifest.version, hours=hours, shifts=champion.drift.shifts(hours))
