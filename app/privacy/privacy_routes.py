"""Endpoints that delete everything stored of a photo."""

from typing import Annotated, Self

from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from app.api.dependencies import Sha256, held
from app.errors import Unauthorized
from app.privacy.erasure import Erased, Erasure
from app.web.auth import trainer
from app.web.problem_details import documented
from catdog.audit import change
from catdog.datasets.errors import DatasetInUse
from catdog.errors import DatabaseUnavailable, PredictionNotFound, StoreUnavailable

ANY = (Unauthorized, RequestValidationError, DatabaseUnavailable, StoreUnavailable, OSError, DatasetInUse)

ErasureDep = Annotated[Erasure, held("erasure")]

router = APIRouter(tags=["privacy"], dependencies=[Depends(trainer)])


class ErasedPhoto(BaseModel, frozen=True):
    """What was deleted of a photo."""

    sha256: str = Field(description="Of the photo.")
    predictions: list[str] = Field(description="Ids of its predictions, whose photo was kept for feedback.")
    datasets: list[str] = Field(description="Data sets that had it, also those whose deletion could be undone.")
    thumbnail: bool = Field(description="Whether a small picture of it was stored.")
    features: int = Field(description="Outputs of networks for it that trainings and the gallery had cached.")
    answers: int = Field(description="Answers for it that were cached in memory.")
    findings: int = Field(description="Findings of data checks that named it.")
    versions: list[int] = Field(description="Versions that were trained on it. They stay: `DELETE /models/{version}`.")

    @classmethod
    def of(cls, sha256: str, erased: Erased) -> Self:
        change.note(sha256=sha256, predictions=len(erased.predictions), datasets=erased.datasets)
        return cls(sha256=sha256, **erased._asdict())


@router.delete("/predictions/{prediction_id}", responses=documented(*ANY, PredictionNotFound))
async def of_prediction(prediction_id: str, erasure: ErasureDep) -> ErasedPhoto:
    """Delete everything stored of the photo of a prediction, for good, also what other predictions kept of it."""
    return ErasedPhoto.of(*await erasure.of_prediction(prediction_id))


@router.delete("/photos/{sha256}", responses=documented(*ANY))
async def of_photo(sha256: Sha256, erasure: ErasureDep) -> ErasedPhoto:
    """Delete everything stored of the photo with this sha256, for good; of an unknown one nothing."""
    return ErasedPhoto.of(sha256, await erasure.of(sha256))
