"""The photos of a request, read into memory within limits and never onto a disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from app.errors import MalformedUpload, NoFile, ServiceError, TooLarge, TooManyFiles, TooSlow, UnsupportedContentType
from app.settings import Settings

FORM = "multipart/form-data"
OCTETS = "application/octet-stream"
FORM_BYTES = 64 * 1024  # what a form may add to its photo: boundaries, headers, other fields
FIELDS = (b"file", b"files")

IN_MEMORY = {"MAX_MEMORY_FILE_SIZE": float("inf")}  # python-multipart would spool to a temporary file


async def read_photo(request: Request, settings: Settings) -> bytes:
    """The one photo of a request: in a form, or as the whole body."""
    content_type = _content_type(request)
    async with _in_time(settings):
        if content_type == FORM:
            photos = await _read_form(request, settings.max_upload_bytes, 1, FORM_BYTES)
        elif content_type.startswith("image/") or content_type in ("", OCTETS):
            photos = [b"".join([chunk async for chunk in _body(request, settings.max_upload_bytes)])]
        else:
            raise UnsupportedContentType((FORM, "image/*", OCTETS))
    photo = photos[0] if photos else b""
    if fault := _fault(photo, settings):
        raise fault
    return photo


async def read_photos(request: Request, settings: Settings) -> list[bytes | ServiceError]:
    """Every photo of a form, in its order; one that can't be taken is the reason instead."""
    if _content_type(request) != FORM:
        raise UnsupportedContentType((FORM,))
    async with _in_time(settings):
        photos = await _read_form(request, settings.max_batch_bytes, settings.max_batch_files)
    if not photos:
        raise NoFile
    return [_fault(photo, settings) or photo for photo in photos]


@asynccontextmanager
async def _in_time(settings: Settings) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(settings.upload_seconds):
            yield
    except TimeoutError as error:
        raise TooSlow(settings.upload_seconds) from error


def _fault(photo: bytes, settings: Settings) -> ServiceError | None:
    if not photo:
        return NoFile()
    return TooLarge(settings.max_upload_bytes) if len(photo) > settings.max_upload_bytes else None


class _Form:
    """The photos of one form; the methods are what python-multipart calls as it finds them."""

    def __init__(self, limit_files: int) -> None:
        self.limit_files = limit_files
        self.photos: list[bytes] = []
        self.ended = False

    def on_file(self, file: File) -> None:
        file.file_object.seek(0)
        self._keep(file.field_name, file.file_object.read())

    def on_field(self, field: Field) -> None:
        """A part without a file name: a photo may lack one."""
        self._keep(field.field_name, field.value or b"")

    def on_end(self) -> None:
        self.ended = True

    def _keep(self, name: bytes | None, photo: bytes) -> None:
        if name not in FIELDS:
            return
        if len(self.photos) == self.limit_files:
            raise TooManyFiles(self.limit_files)
        self.photos.append(photo)


async def _read_form(request: Request, limit_bytes: int, limit_files: int, form_bytes: int = 0) -> list[bytes]:
    form = _Form(limit_files)
    try:
        parser = FormParser(FORM, form.on_field, form.on_file, form.on_end, _boundary(request), config=IN_MEMORY)
        async for chunk in _body(request, limit_bytes, form_bytes):
            parser.write(chunk)
    except FormParserError as error:
        raise MalformedUpload from error
    if not form.ended:
        raise MalformedUpload
    return form.photos


async def _body(request: Request, limit_bytes: int, form_bytes: int = 0) -> AsyncIterator[bytes]:
    """The body as it arrives, refused as soon as it says that it will be too large, or is."""
    most = limit_bytes + form_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise TooLarge(limit_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > most:
            raise TooLarge(limit_bytes)
        yield chunk


def _content_type(request: Request) -> str:
    return parse_options_header(request.headers.get("content-type"))[0].decode("latin-1")


def _boundary(request: Request) -> bytes | None:
    return parse_options_header(request.headers["content-type"])[1].get(b"boundary")
