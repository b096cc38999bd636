"""Parses form uploads as they arrive, with limits on their parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO, NamedTuple

from fastapi import Request
from python_multipart.decoders import Base64Decoder, QuotedPrintableDecoder
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import MalformedUpload, TooManyFields, TooManyFiles

FORM = "multipart/form-data"
FORM_BYTES = 64 * 1024  # allowed in addition to the photo: boundaries, headers, other fields
NAME_CHARACTERS = 255
FIELDS = (b"file", b"files")
LABEL = b"label"
OTHER_FIELDS = 64  # limit of parts that aren't files
DECODERS: dict[bytes, type[Base64Decoder] | type[QuotedPrintableDecoder]] = {
    b"base64": Base64Decoder,
    b"quoted-printable": QuotedPrintableDecoder,
}
NO_BOUNDARY = (
    "the Content-Type multipart/form-data has no boundary; don't set the header by hand, let the HTTP client set it:"
    " it adds the boundary that it uses"
)


class Upload(NamedTuple):
    """A file of a form, with the name that the client gave it, which is only for display."""

    name: str
    content: bytes


class Form:
    """One form: its label, and its files, in memory unless there is a `target` for a single file.

    `whole` closes it, because parser and form refer to each other: only the garbage collector would free them.
    """

    def __init__(self, boundary: bytes | None, limit_files: int, target: BinaryIO | None = None) -> None:
        if boundary is None:
            raise MalformedUpload(NO_BOUNDARY)
        self.files: list[Upload] = []
        self.label: str | None = None
        self.ended = False
        self._limit_files = limit_files
        self._target = target
        self._others = 0
        self._part = _Part()
        self._parser: MultipartParser | None = _parser(self, boundary)

    def write(self, chunk: bytes) -> None:
        """Parse the next chunk of the body; FormParserError, TooManyFiles, TooManyFields."""
        if self._parser is not None:
            self._parser.write(chunk)

    def close(self) -> None:
        self._parser = None

    def on_part_begin(self) -> None:
        self._part = _Part()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._part.header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.value += data[start:end]

    def on_header_end(self) -> None:
        self._part.end_header()

    def on_headers_finished(self) -> None:
        field = self._part.field
        if field is None:
            raise FormParserError("a part without a name")
        if field in FIELDS:
            if len(self.files) == self._limit_files:
                raise TooManyFiles(self._limit_files)
            self._part.keep(self._target or BytesIO())
            return
        self._others += 1
        if self._others > OTHER_FIELDS:
            raise TooManyFields(OTHER_FIELDS)
        if field == LABEL:
            self._part.keep(BytesIO())

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._part.write(data[start:end])

    def on_part_end(self) -> None:
        content = self._part.end()
        if self._part.field in FIELDS:
            self.files.append(Upload(_display_name(self._part.file_name), content))
        elif self._part.field == LABEL:
            self.label = content.decode("utf-8", "replace")

    def on_end(self) -> None:
        self.ended = True


class _Part:
    """One part of a form: its headers, then its content, which is discarded unless `keep` was called."""

    def __init__(self) -> None:
        self.header, self.value = b"", b""  # of the header that is being parsed
        self._headers: dict[bytes, bytes] = {}
        self._kept: BinaryIO | None = None
        self._writer: BinaryIO | Base64Decoder | QuotedPrintableDecoder | None = None
        self.field: bytes | None = None
        self.file_name: bytes | None = None

    def end_header(self) -> None:
        name, value = self.header.lower(), self.value.strip(b" \t")
        self.header, self.value = b"", b""
        self._headers[name] = value
        if name == b"content-disposition":
            options = parse_options_header(value)[1]
            self.field, self.file_name = options.get(b"name"), options.get(b"filename")

    def keep(self, target: BinaryIO) -> None:
        """Write the content to `target`, decoded according to the part's Content-Transfer-Encoding."""
        self._kept = self._writer = target
        if decoder := DECODERS.get(self._headers.get(b"content-transfer-encoding", b"").lower()):
            self._writer = decoder(target)

    def write(self, data: bytes) -> None:
        if self._writer is not None:
            self._writer.write(data)

    def end(self) -> bytes:
        """End the part; return its content if it was kept in memory, without a copy."""
        if isinstance(self._writer, Base64Decoder | QuotedPrintableDecoder):
            self._writer.finalize()
        return self._kept.getvalue() if isinstance(self._kept, BytesIO) else b""


def _parser(form: Form, boundary: bytes) -> MultipartParser:
    """Raises MalformedUpload if the boundary is invalid."""
    try:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": form.on_part_begin,
                "on_header_field": form.on_header_field,
                "on_header_value": form.on_header_value,
                "on_header_end": form.on_header_end,
                "on_headers_finished": form.on_headers_finished,
                "on_part_data": form.on_part_data,
                "on_part_end": form.on_part_end,
                "on_end": form.on_end,
            },
        )
    except FormParserError as error:
        raise MalformedUpload from error


@contextmanager
def whole(form: Form) -> Iterator[None]:
    """Fill the form inside the block; MalformedUpload if it can't be parsed, or is incomplete at the end."""
    try:
        yield
    except FormParserError as error:
        raise MalformedUpload from error
    finally:
        form.close()
    if not form.ended:
        raise MalformedUpload


def _display_name(name: bytes | None) -> str:
    """A client's file name as printable text, only for display."""
    text = (name or b"").decode("utf-8", "replace")
    return "".join(character for character in text if character.isprintable())[-NAME_CHARACTERS:]


def content_type(request: Request) -> str:
    return parse_options_header(request.headers.get("content-type"))[0].decode("latin-1")


def boundary(request: Request) -> bytes | None:
    """What separates the parts of a form; None if its header doesn't declare it."""
    return parse_options_header(request.headers["content-type"])[1].get(b"boundary") or None
