"""Reads request bodies within limits, and stops answering when the client disconnects.

Photos and JSON are read into memory, archives to disk.

Routes read bodies here and declare none, because FastAPI reads a declared body before it checks the key.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from anyio import to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from app.admission import Bodies, Body
from app.errors import (
    MIB,
    ClientGone,
    ExpandsTooMuch,
    MalformedUpload,
    NoFile,
    NoLabel,
    Overloaded,
    ServiceError,
    TooLarge,
    TooSlow,
    UnsupportedContentEncoding,
    UnsupportedContentType,
)
from app.settings import Settings
from app.web import auth
from app.web.content_encoding import Decoder
from app.web.multipart import FORM, FORM_BYTES, Form, Upload, boundary, content_type, whole

OCTETS = "application/octet-stream"
JSON = "application/json"
JSON_BYTES = 64 * 1024
ZIPS = ("application/zip", "application/x-zip-compressed")

# What reading any body may raise.
ERRORS = (TooLarge, TooSlow, Overloaded, UnsupportedContentEncoding, ExpandsTooMuch, MalformedUpload)

Answer = TypeVar("Answer")
Model = TypeVar("Model", bound=BaseModel)


class InvalidBody(RequestValidationError):
    """JSON that doesn't fit an endpoint's schema, with an example that does."""

    def __init__(self, faults: Sequence[Any], example: dict[str, Any]) -> None:
        super().__init__(faults)
        self.example = example


async def read_photo(request: Request, settings: Settings) -> bytes:
    """The one photo of a request: in a form, or as the whole body."""
    sent_as = content_type(request)
    async with _receiving(request, settings.upload_seconds) as body:
        if sent_as == FORM:
            form = await _read_form(request, body, settings.max_upload_bytes, 1, FORM_BYTES)
            photos = [file.content for file in form.files]
        elif sent_as.startswith("image/") or sent_as in ("", OCTETS):
            photos = [await _read_whole(request, body, settings.max_upload_bytes)]
        else:
            raise UnsupportedContentType((FORM, "image/*", OCTETS))
    photo = photos[0] if photos else b""
    if fault := _fault(photo, settings):
        raise fault
    return photo


async def read_photos(request: Request, settings: Settings) -> list[bytes | ServiceError]:
    """Every photo of a form, in order; for one that can't be used, its error."""
    form = await _read_files(request, settings)
    return [_fault(file.content, settings) or file.content for file in form.files]


async def read_labelled(request: Request, settings: Settings) -> tuple[str, list[Upload | ServiceError]]:
    """The label of a form, and its pictures in order; for one that can't be used, its error."""
    form = await _read_files(request, settings)
    if form.label is None:
        raise NoLabel
    return form.label, [_fault(file.content, settings) or file for file in form.files]


async def read_archive(request: Request, settings: Settings, folder: Path) -> Path:
    """Write the one file of a form, or the whole body, into `folder`, up to the size limit."""
    sent_as = content_type(request)
    if sent_as != FORM and sent_as not in ZIPS:
        raise UnsupportedContentType((FORM, ZIPS[0]))
    path = folder / "archive"
    with path.open("wb") as target:
        async with _receiving(request, settings.archive_seconds) as body:
            body.hold(2 * MIB)  # one chunk being gathered, one being written
            await (_write_form if sent_as == FORM else _write_body)(request, body, settings, target)
    return path


async def read_body(request: Request, settings: Settings, limit_bytes: int) -> bytes:
    """The whole body, of any content type."""
    async with _receiving(request, settings.upload_seconds) as body:
        return await _read_whole(request, body, limit_bytes)


async def read_json(request: Request, model: type[Model], limit_bytes: int = JSON_BYTES) -> Model:
    """The body as `model`; raises InvalidBody if it doesn't fit."""
    if content_type(request) not in (JSON, ""):
        raise UnsupportedContentType((JSON,))
    body = await read_body(request, request.app.state.settings, limit_bytes)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidBody(faults, model.model_json_schema()["example"]) from error


async def unless_gone(request: Request, answer: Awaitable[Answer]) -> Answer:
    """Await the answer to a request whose body was read; if its client disconnects first, cancel it: ClientGone."""
    answering = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        if answering is not None:
            answering.cancel()

    watching = asyncio.create_task(watch())
    try:
        return await answer
    except asyncio.CancelledError:
        if not gone or answering is None or answering.uncancel():  # cancelled by the server, not by `watch`
            raise
        raise ClientGone from None
    finally:
        watching.cancel()


async def _read_files(request: Request, settings: Settings) -> Form:
    if content_type(request) != FORM:
        raise UnsupportedContentType((FORM,))
    async with _receiving(request, settings.upload_seconds) as body:
        form = await _read_form(request, body, settings.max_batch_bytes, settings.max_batch_files)
    if not form.files:
        raise NoFile
    return form


async def _read_form(request: Request, body: Body, limit_bytes: int, limit_files: int, form_bytes: int = 0) -> Form:
    form = Form(boundary(request), limit_files)
    with whole(form):
        async for chunk in _stream(request, body, limit_bytes, form_bytes):
            body.hold(len(chunk))
            form.write(chunk)
    return form


async def _read_whole(request: Request, body: Body, limit_bytes: int) -> bytes:
    content = BytesIO()
    async for chunk in _stream(request, body, limit_bytes):
        body.hold(len(chunk))
        content.write(chunk)
    return content.getvalue()  # without a copy


async def _write_form(request: Request, body: Body, settings: Settings, target: BinaryIO) -> None:
    form = Form(boundary(request), 1, target)
    with whole(form):
        async for chunk in _in_large_chunks(_stream(request, body, settings.max_archive_bytes, FORM_BYTES)):
            await to_thread.run_sync(form.write, chunk)
    if not form.files:
        raise NoFile


async def _write_body(request: Request, body: Body, settings: Settings, target: BinaryIO) -> None:
    async for chunk in _in_large_chunks(_stream(request, body, settings.max_archive_bytes)):
        await to_thread.run_sync(target.write, chunk)


async def _stream(request: Request, body: Body, limit_bytes: int, form_bytes: int = 0) -> AsyncIterator[bytes]:
    """The decoded body as it arrives; TooLarge as soon as it is, or declares that it will be."""
    most = limit_bytes + form_bytes
    decoder = Decoder(request.headers)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise TooLarge(limit_bytes)
    received = 0
    count_bytes = getattr(request.state, "count_bytes", None)  # of a client with a limit
    async for chunk in request.stream():
        body.arrived(len(chunk))
        if count_bytes is not None:
            count_bytes(len(chunk))
        for piece in decoder.decode(chunk):
            received += len(piece)
            if received > most:
                raise TooLarge(limit_bytes)
            yield piece
            if decoder.expands:
                await asyncio.sleep(0)  # a small chunk may expand to a thousand pieces
    decoder.end()


async def _in_large_chunks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in fewer chunks: each is written on a thread, which costs more than a small chunk is worth."""
    gathered = BytesIO()
    async for chunk in chunks:
        gathered.write(chunk)
        if gathered.tell() >= MIB:
            yield gathered.getvalue()
            gathered = BytesIO()
    yield gathered.getvalue()


def _receiving(request: Request, seconds: int) -> AbstractAsyncContextManager[Body]:
    bodies: Bodies = request.app.state.bodies
    return bodies.receiving(request, seconds, auth.has_admin_role(request))


def _fault(photo: bytes, settings: Settings) -> ServiceError | None:
    if not photo:
        return NoFile()
    return TooLarge(settings.max_upload_bytes) if len(photo) > settings.max_upload_bytes else None
