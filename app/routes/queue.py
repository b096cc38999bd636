"""The queue between requests and the engine."""

from fastapi import APIRouter, Depends

from app.access import reader
from app.errors import Unauthorized
from app.problems import documented
from app.queue_schemas import QueueState
from app.routes import ThePredictor

router = APIRouter(tags=["model"], dependencies=[Depends(reader)])


@router.get("/queue", responses=documented(Unauthorized))
async def queue(predictor: ThePredictor) -> QueueState:
    """How many photos wait, how long the last ones took and in what batches, and what was turned away."""
    return predictor.queue
