"""Endpoints of the canary: a candidate that answers a share of the clients."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import held, json_body
from app.api.jobs.job_schemas import moment, moment_if_known
from app.api.models import Number
from app.errors import Unauthorized, UnsupportedContentType
from app.retraining.canary import CanaryRelease
from app.web import uploads
from app.web.auth import admin, reader
from app.web.problem_details import documented
from catdog.audit import change
from catdog.errors import (
    CanaryExists,
    NoCanary,
    OtherClasses,
    StoreError,
    StoreUnavailable,
    VersionInService,
    VersionNotFound,
)
from catdog.versions import canary as stored
from catdog.versions.canary import Limits
from catdog.versions.manifest import Rule

router = APIRouter(tags=["models"])

CanaryDep = Annotated[CanaryRelease, held("canary")]


class CanaryLimits(BaseModel):
    """How much worse than the champion's the numbers of a canary may be."""

    model_config = ConfigDict(extra="forbid")

    photos: int = Field(ge=1, le=10**9, description="Photos of each version from which on the numbers are judged.")
    errors: float = Field(ge=0, le=1, description="Rise of the share of failed photos, 0-1.")
    unknown: float = Field(ge=0, le=1, description="Rise of the share of photos called unknown, 0-1.")
    latency: float = Field(gt=0, le=1000, description="Mean time to an answer, as a multiple of the champion's.")

    @classmethod
    def of(cls, limits: Limits) -> Self:
        return cls(**limits._asdict())


class CanaryRequest(BaseModel):
    """A request to let a version answer a share of the clients."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"share": 0.05}})

    share: float = Field(gt=0, lt=1, description="The share of the clients, between 0 and 1.")
    limits: CanaryLimits | None = Field(default=None, description="Of this canary; by default those of the settings.")


class CanarySide(BaseModel, frozen=True):
    """What one version did with the photos of its clients."""

    photos: int = Field(description="Photos that were answered, or failed by a fault of the service.")
    errors: float = Field(description="Share of these that failed, 0-1.")
    unknown: float = Field(description="Share of the answered ones that were called unknown, 0-1.")
    mean_seconds: float = Field(description="Mean time to an answer; 0 without one.")

    @classmethod
    def of(cls, side: stored.Side) -> Self:
        return cls(
            photos=side.photos, errors=side.error_share, unknown=side.unknown_share, mean_seconds=side.mean_seconds
        )


class CanaryState(BaseModel, frozen=True):
    """The canary that runs, or the last one."""

    running: bool
    version: int = Field(description="The candidate.")
    champion: int = Field(description="The version that answers the other clients.")
    share: float = Field(description="Share of the clients that the candidate answers, 0-1.")
    began_at: datetime
    ended_at: datetime | None = Field(description="Null while it runs.")
    rolled_back: bool = Field(description="Whether its numbers ended it.")
    reason: str | None = Field(description="Why it ended.")
    candidate: CanarySide
    usual: CanarySide = Field(description="The champion's numbers in the same time.")
    photos_wanted: int = Field(description="Photos of each version from which on the numbers are judged.")
    limits: CanaryLimits
    rules: list[Rule] = Field(description="Each number against its limit; empty before there are enough photos.")

    @classmethod
    def of(cls, found: stored.Canary, limits: Limits) -> Self:
        return cls(
            running=found.is_running,
            version=found.version,
            champion=found.champion,
            share=found.share,
            began_at=moment(found.began_at),
            ended_at=moment_if_known(found.ended_at),
            rolled_back=found.is_rolled_back,
            reason=found.reason,
            candidate=CanarySide.of(found.candidate),
            usual=CanarySide.of(found.usual),
            photos_wanted=(found.limits or limits).photos,
            limits=CanaryLimits.of(found.limits or limits),
            rules=list(stored.rules(found, limits)),
        )


class CanaryReport(BaseModel, frozen=True):
    """Whether a version is a canary."""

    canary: CanaryState | None = Field(description="The canary that runs, else the last one; null if there was none.")
    limits: CanaryLimits = Field(description="Those of the settings, which a canary has by default.")


@router.post(
    "/models/{version}/canary",
    dependencies=[Depends(admin)],
    responses=documented(
        Unauthorized,
        RequestValidationError,
        *uploads.ERRORS,
        UnsupportedContentType,
        VersionNotFound,
        VersionInService,
        OtherClasses,
        CanaryExists,
        StoreError,
        StoreUnavailable,
    ),
    openapi_extra=json_body(CanaryRequest),
)
async def begin(version: Number, request: Request, canary: CanaryDep) -> CanaryState:
    """Let a version answer a share of the clients; it is rolled back by itself if its numbers exceed the limits.

    The header `X-Client-Id` identifies a client, else its named key or its address; it always asks the same version.
    """
    asked = await uploads.read_json(request, CanaryRequest)
    change.note(share=asked.share)
    limits = None if asked.limits is None else Limits(**asked.limits.model_dump())
    return CanaryState.of(await canary.begin(version, asked.share, limits), canary.limits)


@router.get("/canary", dependencies=[Depends(reader)], responses=documented(Unauthorized, StoreError))
async def report(canary: CanaryDep) -> CanaryReport:
    """The canary that runs, with its numbers; else the last one."""
    found = await canary.latest()
    state = None if found is None else CanaryState.of(found, canary.limits)
    return CanaryReport(canary=state, limits=CanaryLimits.of(canary.limits))


@router.delete(
    "/canary", dependencies=[Depends(admin)], responses=documented(Unauthorized, StoreError, NoCanary, StoreUnavailable)
)
async def end(canary: CanaryDep) -> CanaryState:
    """End the canary: the champion answers every client. To put the version into service, promote it."""
    ended = await canary.end()
    change.note(version=ended.version)
    return CanaryState.of(ended, canary.limits)
