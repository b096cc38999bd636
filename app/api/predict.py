"""`POST /predict`: photos in, probabilities out."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from app.api.dependencies import BYTES, PredictorDep, SettingsDep, form, queue_place
from app.errors import (
    Expired,
    NoFile,
    NotExplainable,
    NotReady,
    TooManyFields,
    TooManyFiles,
    Unauthorized,
    UnsupportedContentType,
    VersionNotLoaded,
)
from app.serving.loaded_model import LoadedModel
from app.serving.prediction import ExplainedPrediction, Prediction
from app.serving.predictor import check_explains
from app.web import uploads
from app.web.auth import client_of, reader
from app.web.direct_route import DirectRoute
from app.web.multipart import FORM
from app.web.problem_details import Problem, describe, documented
from app.web.uploads import unless_gone
from catdog.errors import BrokenImage, TooManyPixels, UnsupportedImage
from catdog.versions.ood import LEAST_KEEP

UPLOAD_ERRORS = (
    *uploads.ERRORS,
    TooManyFields,
    Unauthorized,
    UnsupportedContentType,
    NoFile,
    TooManyFiles,
    NotReady,
    Expired,
    VersionNotLoaded,
)
IMAGE_ERRORS = (UnsupportedImage, BrokenImage, TooManyPixels)

ONE_PHOTO = {FORM: form(BYTES), "image/*": {"schema": BYTES}, uploads.OCTETS: {"schema": BYTES}}
PHOTOS = {FORM: form({"type": "array", "items": BYTES})}

Explain = Annotated[Literal["false", "true", "png"], Query()]
UnknownKeep = Annotated[
    float | None,
    Query(
        ge=LEAST_KEEP,
        le=1,
        description="Share of the photos of the classes that stay known: the lower, the more of the others are"
        " `unknown`. The default is `CATDOG_UNKNOWN_KEEP`; with 1 no photo is unknown.",
    ),
]


async def asked_model(
    request: Request,
    predictor: PredictorDep,
    version: Annotated[
        int | None,
        Query(
            ge=1,
            lt=10**18,
            description="The version that answers, instead of the one in service. It must be loaded:"
            " `POST /v2/repository/models/catdog/load?version=N` loads it, with the admin key.",
        ),
    ] = None,
) -> LoadedModel | None:
    """The loaded version that a request asks, or the canary if it answers this client; None for the one in service.

    VersionNotLoaded.
    """
    return predictor.canary.model_for(client_of(request)) if version is None else predictor.loaded(str(version))


ModelDep = Annotated[LoadedModel | None, Depends(asked_model)]

# The dependencies run before the body is read, so that a request that can't be answered needn't send it.
router = APIRouter(
    prefix="/predict", tags=["predict"], dependencies=[Depends(reader), Depends(queue_place)], route_class=DirectRoute
)


class BatchItem(BaseModel, frozen=True):
    """One photo's answer, or its own problem: exactly one of the two is set."""

    prediction: Prediction | None = None
    problem: Problem | None = None


class BatchPrediction(BaseModel, frozen=True):
    """One item per photo, in the order of the request."""

    results: list[BatchItem]


@router.post(
    "",
    responses=documented(*UPLOAD_ERRORS, *IMAGE_ERRORS, RequestValidationError, NotExplainable),
    openapi_extra={"requestBody": {"required": True, "content": ONE_PHOTO}},
)
async def predict(
    request: Request,
    predictor: PredictorDep,
    settings: SettingsDep,
    model: ModelDep,
    explain: Explain = "false",
    unknown_keep: UnknownKeep = None,
) -> ExplainedPrediction | Prediction:
    """Classify one photo: a form with the field `file`, or the photo itself as the body.

    `explain=true` adds a map of where in the photo the class is seen, `explain=png` also that map as a picture.
    """
    if explain != "false":
        check_explains(model or predictor.champion)
    photo = await uploads.read_photo(request, settings)
    if explain == "false":
        return await unless_gone(request, predictor.predict(photo, unknown_keep, model))
    return await unless_gone(request, predictor.explain(photo, explain == "png", unknown_keep, model))


@router.post(
    "/batch",
    responses=documented(*UPLOAD_ERRORS, RequestValidationError),
    response_model_exclude_unset=True,
    openapi_extra={"requestBody": {"required": True, "content": PHOTOS}},
)
async def predict_batch(
    request: Request,
    predictor: PredictorDep,
    settings: SettingsDep,
    model: ModelDep,
    unknown_keep: UnknownKeep = None,
) -> BatchPrediction:
    """Classify several photos: a form with several fields `file`. If one fails, the others are answered."""
    photos = await uploads.read_photos(request, settings)
    answers = await unless_gone(request, predictor.predict_each(photos, model, unknown_keep))
    return BatchPrediction(results=[_item(answer, request) for answer in answers])


def _item(answer: Prediction | Exception, request: Request) -> BatchItem:
    if isinstance(answer, Prediction):
        return BatchItem(prediction=answer)
    return BatchItem(problem=describe(answer, request))
