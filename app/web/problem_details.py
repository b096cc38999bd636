"""Turns errors into RFC 9457 problem details.

A problem's type is a URN, for clients to compare and not to open: a self-hosted service has no fixed address for a URL,
and a relative URI would mean something else behind each proxy. Below `/v1` and `/v2` the same errors have the form of
the inference protocols.
"""

import json
import logging
import re
from asyncio import CancelledError
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors as service
from app.telemetry.request_record import record_problem
from app.web import methods
from app.web.problem_kinds import EVERYWHERE, KINDS, UNEXPECTED, Kind, kind_of, kind_of_error
from app.web.uploads import InvalidBody
from catdog import errors as domain
from catdog import faults
from catdog.jobs import errors as jobs

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PROTOCOLS = re.compile("/v[12](/|$)")  # addresses of the inference protocols, which have another error form
RETRY_SECONDS: dict[type[Exception], int] = {
    service.NotReady: 1,  # about as long as loading the shipped model takes
    domain.NoChampion: 1,
    service.Expired: 5,
    jobs.QueueFull: 60,
    domain.DatabaseUnavailable: 5,
    domain.StoreUnavailable: 5,
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


def install(app: FastAPI) -> None:
    """Make the app answer every listed error as a problem; `UnhandledErrors` answers the others."""
    for error in (*KINDS, HTTPException):
        app.add_exception_handler(error, _respond)
    app.add_exception_handler(ClientDisconnect, _say_nothing)


def describe(error: Exception, request: Request) -> Problem:
    """The problem details of an error. An unexpected error is logged with its traceback, and its text isn't shown."""
    kind = kind_of_error(error)
    record_problem(kind.name)
    if kind is UNEXPECTED:
        logger.error("request %s: %r failed", request.state.id, request.scope["path"], exc_info=error)
    elif isinstance(error, OSError):
        logger.error("request %s: %s", request.state.id, error)
    elif isinstance(error, domain.DatabaseUnavailable | domain.StoreUnavailable):
        logger.error("request %s: %s: %s", request.state.id, kind.title, error.reason)
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


def _detail(error: Exception, request: Request) -> str:
    if isinstance(error, HTTPException):
        return _of_router(error, request)
    if isinstance(error, RequestValidationError):
        return faults.in_one_line(error.errors(), whole="the body") + _example_of(error)
    if kind_of_error(error) is UNEXPECTED:
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
    if isinstance(error, service.Overloaded | service.LimitReached):
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
    for kind in dict.fromkeys([*map(kind_of, (*errors, *EVERYWHERE)), UNEXPECTED]):
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


class UnhandledErrors:
    """ASGI middleware that answers unexpected errors, and requests cut off by the shutdown, as problems."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        answering = False

        async def watch(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            return await self.app(scope, receive, watch)
        except Exception as error:
            if answering:
                raise
            await respond(Request(scope), error)(scope, receive, send)
        except CancelledError:  # by the server, when the shutdown has timed out; it ends the task itself
            if not answering:
                await respond(Request(scope), service.NotReady("the service is shutting down"))(scope, receive, send)
