"""Turns errors into RFC 9457 problem details: the only place that maps errors to HTTP.

A problem's type is a URN, for clients to compare and not to open: a self-hosted service has no fixed address for a URL,
and a relative URI would mean something else behind each proxy. Below `/v1` and `/v2` the same errors have the form of
the inference protocols.
"""

import errno
import json
import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app import errors as service
from app.telemetry.request_record import record_problem
from app.web import methods
from app.web.uploads import InvalidBody
from catdog import errors as domain
from catdog import faults

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PROTOCOLS = re.compile("/v[12](/|$)")  # addresses of the inference protocols, which have another error form
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
RETRY_SECONDS: dict[type[Exception], int] = {
    service.NotReady: 1,  # about as long as loading the shipped model takes
    domain.NoChampion: 1,
    service.Expired: 5,
    domain.QueueFull: 60,
    domain.DatabaseUnavailable: 5,
}


class Problem(BaseModel, frozen=True):
    """What went wrong, as problem details of RFC 9457."""

    type: str = Field(description="Kind of problem: a fixed URI, to be compared and not opened.")
    title: str = Field(description="Kind of problem in a few words.")
    status: int = Field(description="HTTP status.")
    detail: str = Field(description="What is wrong with this request, and what to do.")
    instance: str = Field(description="Id of this request, also in the log and in the header X-Request-ID.")


class InferenceError(BaseModel, frozen=True):
    """What went wrong, in the form of both inference protocols."""

    error: str


class Kind(NamedTuple):
    """One kind of problem; `name` is the last part of its type."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        return f"urn:catdog:problem:{self.name}"


# An error that isn't listed has the kind of its nearest listed base class.
KINDS: dict[type[Exception], Kind] = {
    service.Unauthorized: Kind("unauthorized", 401, "A key is needed"),
    service.CrossOrigin: Kind("cross-origin", 403, "Pages of other sites may not do this"),
    domain.VersionNotFound: Kind("version-not-found", 404, "There is no such version"),
    domain.DatasetNotFound: Kind("dataset-not-found", 404, "There is no such data set"),
    domain.PictureNotFound: Kind("picture-not-found", 404, "There is no such picture"),
    domain.PredictionNotFound: Kind("prediction-not-found", 404, "The photo of this prediction isn't kept"),
    domain.JobNotFound: Kind("job-not-found", 404, "There is no such job"),
    domain.VersionInService: Kind("version-in-service", 409, "The version is in service"),
    domain.ShippedVersion: Kind("shipped-version", 409, "The shipped version can't be deleted"),
    domain.BrokenVersion: Kind("broken-version", 409, "The version can't be used"),
    domain.NoEarlierChampion: Kind("no-earlier-champion", 409, "There is nothing to roll back to"),
    domain.ChampionChanged: Kind("champion-changed", 409, "Another version was promoted in the meantime"),
    domain.StoreError: Kind("model-store", 409, "The model store can't do this"),
    domain.JobEnded: Kind("job-ended", 409, "The job has ended"),
    service.NotExplainable: Kind("not-explainable", 409, "The version can't explain its answers"),
    service.InvalidInference: Kind("invalid-inference", 400, "The request violates the protocol"),
    service.ModelNotFound: Kind("model-not-found", 404, "There is no such model"),
    service.VersionNotLoaded: Kind("version-not-loaded", 404, "The version isn't loaded"),
    service.TooLarge: Kind("too-large", 413, "The upload is too large"),
    service.TooSlow: Kind("too-slow", 408, "The upload takes too long"),
    service.MisdirectedRequest: Kind("misdirected-request", 421, "The request is for another host"),
    service.UnsupportedContentType: Kind("unsupported-content-type", 415, "The content type is not supported"),
    service.UnsupportedContentEncoding: Kind("unsupported-content-encoding", 415, "The compression is not supported"),
    service.ExpandsTooMuch: Kind("expands-too-much", 413, "The compressed body expands too far"),
    domain.UnsupportedImage: Kind("unsupported-image", 415, "The image format is not supported"),
    domain.BrokenImage: Kind("broken-image", 422, "The image is broken"),
    domain.TooManyPixels: Kind("too-many-pixels", 422, "The image has too many pixels"),
    service.MalformedUpload: Kind("malformed-upload", 422, "The upload can't be read"),
    service.NoFile: Kind("no-file", 422, "There is no photo in the request"),
    service.TooManyFiles: Kind("too-many-files", 422, "There are too many photos in the request"),
    service.TooManyFields: Kind("too-many-fields", 422, "The form has too many fields"),
    service.NoLabel: Kind("no-label", 422, "The pictures have no class"),
    domain.ArchiveError: Kind("archive-refused", 422, "The archive is refused"),
    domain.DatasetError: Kind("unusable-dataset", 422, "The data set can't be used for this"),
    domain.UnknownLabel: Kind("unknown-label", 422, "The model doesn't have this class"),
    domain.KeyReused: Kind("key-reused", 422, "The idempotency key was used for another request"),
    RequestValidationError: Kind("invalid-request", 422, "The request is invalid"),
    domain.QueueFull: Kind("queue-full", 429, "The job queue is full"),
    service.ClientGone: Kind("client-gone", 499, "The client disconnected"),  # nginx's code; no client sees it
    service.Overloaded: Kind("overloaded", 503, "The service is overloaded"),
    service.Expired: Kind("expired", 503, "There was no answer in time"),
    service.NotReady: Kind("not-ready", 503, "The service can't answer now"),
    domain.NoChampion: Kind("no-champion", 503, "No version is in service"),
    service.TrainerMissing: Kind("trainer-missing", 503, "Training isn't possible here"),
    domain.DatabaseUnavailable: Kind("database-unavailable", 503, "The database doesn't answer"),
    OSError: Kind("insufficient-storage", 507, "The disk is full"),  # any other OSError is unexpected
}
EVERYWHERE = (service.CrossOrigin, service.MisdirectedRequest)
UNEXPECTED = Kind("internal-error", 500, "Internal error in the service")


def install(app: FastAPI) -> None:
    """Make the app answer every listed error as a problem; `UnhandledErrors` answers the others."""
    for error in (*KINDS, HTTPException):
        app.add_exception_handler(error, _respond)
    app.add_exception_handler(ClientDisconnect, _say_nothing)


def describe(error: Exception, request: Request) -> Problem:
    """The problem details of an error. An unexpected error is logged with its traceback, and its text isn't shown."""
    kind = _kind(error)
    record_problem(kind.name)
    if kind is UNEXPECTED:
        logger.error("request %s: %r failed", request.state.id, request.scope["path"], exc_info=error)
    elif isinstance(error, OSError):
        logger.error("request %s: %s", request.state.id, error)
    elif isinstance(error, domain.DatabaseUnavailable):
        logger.error("request %s: the database doesn't answer: %s", request.state.id, error.reason)
    return Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=_detail(error, request),
        instance=f"urn:uuid:{request.state.id}",
    )


def respond(request: Request, error: Exception) -> Response:
    """The response to a request that failed."""
    problem = describe(error, request)
    if PROTOCOLS.match(request.scope["path"]):
        return JSONResponse(InferenceError(error=problem.detail).model_dump(), problem.status, _headers(error, request))
    return JSONResponse(problem.model_dump(), problem.status, _headers(error, request), MEDIA_TYPE)


async def _respond(request: Request, error: Exception) -> Response:
    return respond(request, error)


async def _say_nothing(request: Request, error: Exception) -> Response:
    """For a client that has disconnected: the server discards it."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


def of_status(status: int) -> Kind:
    """The kind named after an HTTP status."""
    phrase = HTTPStatus(status).phrase
    return Kind(phrase.lower().replace(" ", "-"), status, phrase)


def _kind(error: Exception) -> Kind:
    if isinstance(error, HTTPException):  # from the router: an unknown address or method
        return of_status(error.status_code)
    if isinstance(error, OSError) and error.errno not in DISK_FULL:
        return UNEXPECTED
    return _kind_of(type(error))


def _kind_of(error: type[Exception]) -> Kind:
    return next((KINDS[kind] for kind in error.__mro__ if kind in KINDS), UNEXPECTED)


def _detail(error: Exception, request: Request) -> str:
    if isinstance(error, HTTPException):
        return _of_router(error, request)
    if isinstance(error, RequestValidationError):
        return faults.in_one_line(error.errors(), whole="the body") + _example_of(error)
    if _kind(error) is UNEXPECTED:
        return "the service's log has the details, under the id of this request"
    if isinstance(error, OSError):
        return "the disk is full; free space on it"
    return str(error)


def _example_of(error: RequestValidationError) -> str:
    return f"; send JSON such as {json.dumps(error.example)}" if isinstance(error, InvalidBody) else ""


def _of_router(error: HTTPException, request: Request) -> str:
    """The route's own text, else what is wrong with the address or the method."""
    if error.detail != HTTPStatus(error.status_code).phrase:
        return error.detail
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"this address accepts {methods.allowed(request)}; send one of these methods"
    slash = "remove the slash at its end, or " if request.scope["path"].endswith("/") else ""
    return f"there is no such address; {slash}see the list at /docs"


def _headers(error: Exception, request: Request) -> dict[str, str]:
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return {"Allow": methods.allowed(request)}
    if isinstance(error, service.Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, service.UnsupportedContentEncoding):
        return {"Accept-Encoding": ", ".join(error.accepted)}
    if isinstance(error, service.Overloaded):
        return {"Retry-After": str(error.retry_seconds)}
    if seconds := RETRY_SECONDS.get(type(error)):
        return {"Retry-After": str(seconds)}
    return dict(getattr(error, "headers", None) or {})


def documented(*errors: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """These errors, and those of every address, for the OpenAPI document, by status, with an example of each kind."""
    return _documented(errors, MEDIA_TYPE, _example)


def documented_plainly(*errors: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """The same for addresses of the inference protocols."""
    responses = _documented(errors, "application/json", lambda kind: InferenceError(error=kind.title))
    responses[UNEXPECTED.status]["model"] = InferenceError  # one adds the schema; FastAPI builds a copy for each
    return responses


def _by_status(errors: tuple[type[Exception], ...]) -> dict[int, list[Kind]]:
    found: dict[int, list[Kind]] = {}
    for kind in dict.fromkeys([*map(_kind_of, (*errors, *EVERYWHERE)), UNEXPECTED]):
        found.setdefault(kind.status, []).append(kind)
    return found


def _documented(
    errors: tuple[type[Exception], ...], media_type: str, example: Callable[[Kind], BaseModel]
) -> dict[int | str, dict[str, Any]]:
    responses: dict[int | str, dict[str, Any]] = {}
    for status, kinds in _by_status(errors).items():
        examples = {kind.name: example(kind) for kind in kinds}
        content = {
            "schema": {"$ref": f"#/components/schemas/{type(examples[kinds[0].name]).__name__}"},
            "examples": {name: {"value": each.model_dump()} for name, each in examples.items()},
        }
        responses[status] = {"description": "; ".join(kind.title for kind in kinds), "content": {media_type: content}}
    return responses


def _example(kind: Kind) -> Problem:
    instance = "urn:uuid:1b4e28ba-2fa1-41d2-883f-0016d3cca427"
    return Problem(type=kind.type, title=kind.title, status=kind.status, detail=kind.title, instance=instance)
