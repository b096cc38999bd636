"""Endpoints that list and replay the deliveries of events to webhooks."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

from fastapi import APIRouter, Depends, Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from app.api.dependencies import held
from app.api.jobs.job_schemas import moment, moment_if_known
from app.errors import Unauthorized
from app.web.auth import admin
from app.web.problem_details import documented
from app.webhooks.sender import Webhooks
from catdog.errors import DatabaseUnavailable, DeliveryNotFound, NoWebhook, UrlNotSet
from catdog.webhooks.message import Status

if TYPE_CHECKING:
    from catdog.webhooks import deliveries as stored

ANY = (Unauthorized, RequestValidationError, DatabaseUnavailable, OSError)

WebhooksDep = Annotated[Webhooks, held("webhooks")]
Number = Annotated[int, Path(ge=1, lt=2**31)]

router = APIRouter(prefix="/webhooks", tags=["webhooks"], dependencies=[Depends(admin)])


class Delivery(BaseModel, frozen=True):
    """An event for one URL."""

    id: int = Field(description="For `POST /webhooks/{id}/replay`.")
    event: str = Field(description="Id of the event, sent in the header `webhook-id`; the same for every URL.")
    type: str = Field(description="What happened, such as `version.promoted`.")
    data: dict[str, Any]
    happened_at: datetime
    url: str
    status: Status = Field(description="`waiting` for its next attempt, `delivered`, or `failed` for good.")
    attempts: int = Field(description="Attempts since it happened or was replayed.")
    problem: str | None = Field(description="What was wrong with the last attempt.")
    next_at: datetime | None = Field(description="When the next attempt may begin.")
    ended_at: datetime | None = Field(description="When it was delivered, or failed.")

    @classmethod
    def of(cls, delivery: "stored.Delivery") -> Self:
        return cls(
            id=delivery.id,
            event=delivery.event,
            type=delivery.kind,
            data=delivery.data,
            happened_at=moment(delivery.happened_at),
            url=delivery.url,
            status=Status(delivery.status),
            attempts=delivery.attempts,
            problem=delivery.problem,
            next_at=moment_if_known(delivery.next_at),
            ended_at=moment_if_known(delivery.ended_at),
        )


class SentEvents(BaseModel, frozen=True):
    """Where events are sent, and deliveries."""

    urls: list[str] = Field(description="URLs that events are sent to; empty until the service has stored them.")
    deliveries: list[Delivery]


@router.get("", responses=documented(*ANY))
async def webhooks(
    webhooks: WebhooksDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    status: Annotated[Status | None, Query(description="Only those of this status.")] = None,
) -> SentEvents:
    """The newest deliveries, newest first."""
    urls, found = await webhooks.ask(lambda deliveries: (deliveries.urls(), deliveries.newest(limit, status)))
    return SentEvents(urls=urls, deliveries=[Delivery.of(one) for one in found])


@router.post("/test", status_code=202, responses=documented(*ANY, NoWebhook))
async def test(webhooks: WebhooksDep) -> SentEvents:
    """Send the event `webhook.test` to every URL."""
    urls, found = await webhooks.ask(lambda deliveries: (deliveries.urls(), deliveries.test()))
    return SentEvents(urls=urls, deliveries=[Delivery.of(one) for one in found])


@router.post("/{delivery}/replay", status_code=202, responses=documented(*ANY, DeliveryNotFound, UrlNotSet))
async def replay(delivery: Number, webhooks: WebhooksDep) -> Delivery:
    """Send an event again, whether it was delivered, failed or still waits; it keeps its id."""
    return Delivery.of(await webhooks.ask(lambda deliveries: deliveries.replay(delivery)))
