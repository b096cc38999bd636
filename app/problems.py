"""Everything that can go wrong, as RFC 9457 problem details: the one place where an error meets HTTP.

A type is a URN: a service that anyone runs anywhere has no address of its own to put there, and a
relative URI would mean another thing behind every proxy. Clients compare it; there is nothing to open.
"""

import logging
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app import errors as service
from app.schemas import Problem
from catdog import errors as domain

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1  # about as long as loading the shipped model takes


class Kind(NamedTuple):
    """One kind of problem; `name` ends its type."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        return f"urn:catdog:problem:{self.name}"


KINDS: dict[type[Exception], Kind] = {
    service.TooLarge: Kind("too-large", 413, "The upload is too large"),
    service.TooSlow: Kind("too-slow", 408, "The upload takes too long"),
    service.UnsupportedContentType: Kind("unsupported-content-type", 415, "The content type is not one that is taken"),
    domain.UnsupportedImage: Kind("unsupported-image", 415, "The file is not an image that is taken"),
    domain.BrokenImage: Kind("broken-image", 422, "The image is broken"),
    domain.TooManyPixels: Kind("too-many-pixels", 422, "The image has too many pixels"),
    service.MalformedUpload: Kind("malformed-upload", 422, "The form can't be read"),
    service.NoFile: Kind("no-file", 422, "There is no photo in the request"),
    service.TooManyFiles: Kind("too-many-files", 422, "There are too many photos in the request"),
    RequestValidationError: Kind("invalid-request", 422, "The request is not what the service expects"),
    service.NotReady: Kind("not-ready", 503, "The service can't answer now"),
}
UNEXPECTED = Kind("internal-error", 500, "Something went wrong in the service")


def install(app: FastAPI) -> None:
    """Make the app answer every error that is foreseen as a problem; `LastResort` does so for the others."""
    for error in (*KINDS, HTTPException):
        app.add_exception_handler(error, _respond)
    app.add_exception_handler(ClientDisconnect, _say_nothing)


def describe(error: Exception, request: Request) -> Problem:
    """The problem that an error is. One that nobody foresaw is logged with its trace, and nothing of it is told."""
    kind = _kind(error)
    if kind is UNEXPECTED:
        logger.error("request %s: %r failed", request.state.id, request.scope["path"], exc_info=error)
    return Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=_detail(error),
        instance=f"urn:uuid:{request.state.id}",
    )


def respond(request: Request, error: Exception) -> Response:
    """The response to a request that failed."""
    problem = describe(error, request)
    return JSONResponse(problem.model_dump(), problem.status, _headers(error), MEDIA_TYPE)


async def _respond(request: Request, error: Exception) -> Response:
    return respond(request, error)


async def _say_nothing(request: Request, error: Exception) -> Response:
    """For a client that has gone: the server drops it."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


def _kind(error: Exception) -> Kind:
    if isinstance(error, HTTPException):  # of the router: an unknown address or method
        phrase = HTTPStatus(error.status_code).phrase
        return Kind(phrase.lower().replace(" ", "-"), error.status_code, phrase)
    return KINDS.get(type(error), UNEXPECTED)


def _detail(error: Exception) -> str:
    if isinstance(error, HTTPException):
        return HTTPStatus(error.status_code).description
    if isinstance(error, RequestValidationError):
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    if _kind(error) is UNEXPECTED:
        return "the service's log tells more, under the id of this request"
    return str(error)


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, service.NotReady):
        return {"Retry-After": str(RETRY_SECONDS)}
    return dict(getattr(error, "headers", None) or {})


def documented(*errors: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """These errors, and the unexpected one, for the OpenAPI document: by status, with an example of each kind."""
    kinds = [*(KINDS[error] for error in errors), UNEXPECTED]
    return {status: _documented([kind for kind in kinds if kind.status == status]) for _, status, _ in kinds}


def _documented(kinds: list[Kind]) -> dict[str, Any]:
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {kind.name: {"value": _example(kind)} for kind in kinds},
    }
    return {"description": "; ".join(kind.title for kind in kinds), "content": {MEDIA_TYPE: content}}


def _example(kind: Kind) -> dict[str, Any]:
    instance = "urn:uuid:1b4e28ba-2fa1-41d2-883f-0016d3cca427"
    example = Problem(type=kind.type, title=kind.title, status=kind.status, detail=kind.title, instance=instance)
    return example.model_dump()
