"""Endpoints for the true labels of predicted photos, and for the photos worth labelling."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError

from app.api.dataset_schemas import Feedback, Review, ReviewItem, StoredPicture
from app.api.dependencies import ChampionDep, DatasetsDep, PredictorDep, ShadowDep, json_body, picture
from app.errors import NotReady, Unauthorized, UnsupportedContentType
from app.retraining.review_order import Order, to_review
from app.web import uploads
from app.web.auth import labeller
from app.web.problem_details import documented
from catdog.audit import change
from catdog.errors import DatabaseUnavailable, DatasetError, PredictionNotFound, StoreUnavailable, UnknownLabel
from catdog.names import NEITHER, same_class

ANY = (Unauthorized, RequestValidationError, DatabaseUnavailable, StoreUnavailable, OSError)

ORDERS = (
    "`unsure`: the lowest probabilities first; `unknown`: only photos that are like no class, the least familiar ones"
    " first; `disagreement`: only photos to which a version on trial gave another answer, first those of which both"
    " were surest; `mixed`: these, unknown photos and those of each class in turn."
)

router = APIRouter(tags=["feedback"], dependencies=[Depends(labeller)])


@router.post(
    "/feedback",
    status_code=201,
    responses=documented(
        *ANY, *uploads.ERRORS, NotReady, UnsupportedContentType, DatasetError, UnknownLabel, PredictionNotFound
    ),
    openapi_extra=json_body(Feedback),
)
async def feedback(
    request: Request, collecting: DatasetsDep, champion: ChampionDep, shadow: ShadowDep
) -> StoredPicture:
    """Turn a predicted photo into a training picture; a second label replaces the first.

    A photo with the label `neither` is no training picture: the next training measures on such photos how many
    it calls unknown.
    """
    said = await uploads.read_json(request, Feedback)
    label = same_class(said.label.strip(), (*champion.manifest.classes, NEITHER))
    if label is None:
        raise UnknownLabel(said.label, champion.manifest.classes)
    change.note(prediction_id=said.prediction_id, label=label)
    stored = await collecting.add_feedback(said.dataset, said.prediction_id, label)
    shadow.labelled(said.prediction_id, label)
    return StoredPicture.of(stored)


@router.get("/review", responses=documented(*ANY))
async def review(
    collecting: DatasetsDep,
    predictor: PredictorDep,
    shadow: ShadowDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    order: Annotated[Order, Query(description=ORDERS)] = Order.UNSURE,
) -> Review:
    """The kept photos without a label that are most worth one, each with the reason."""
    others = await shadow.disagreed()
    found = await collecting.ask(lambda datasets: to_review(collecting.uploads, datasets, order, limit, others))
    return Review(items=[ReviewItem.of(one) for one in found], drifted=await predictor.drifted())


@router.get("/review/{prediction_id}/picture", responses=documented(*ANY, PredictionNotFound))
async def photo(prediction_id: str, collecting: DatasetsDep) -> Response:
    """The photo of a kept prediction, as it was sent."""
    _, kept = await to_thread.run_sync(collecting.uploads.get, prediction_id)
    return picture(kept)
