"""`GET /queue`: the state of the queue between requests and the engine."""

from fastapi import APIRouter, Depends

from app.api.dependencies import ThePredictor
from app.api.queue_schemas import QueueState
from app.errors import Unauthorized
from app.web.auth import reader
from app.web.problem_details import documented

router = APIRouter(tags=["model"], dependencies=[Depends(reader)])


@router.get("/queue", responses=documented(Unauthorized))
async def queue(predictor: ThePredictor) -> QueueState:
    """How many photos wait, how long the last ones took and in what batches, and what was turned away."""
    return predictor.queue
