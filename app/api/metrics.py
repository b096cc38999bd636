"""`GET /metrics` for Prometheus."""

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse

from app.errors import Unauthorized
from app.metrics import Metrics
from app.web.auth import reader
from app.web.problem_details import documented

router = APIRouter(tags=["health"], dependencies=[Depends(reader)])


@router.get("/metrics", response_class=PlainTextResponse, responses=documented(Unauthorized))
async def metrics(request: Request) -> Response:
    """Requests, latencies, the queue, the model and trainings, in Prometheus's text format or OpenMetrics."""
    held: Metrics = request.app.state.metrics
    page, media_type = await held.page(request.headers.get("accept", ""))
    return Response(page, headers={"Content-Type": media_type})
