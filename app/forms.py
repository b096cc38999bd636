"""Forms and bodies as they arrive, counted, and refused as soon as they are too large or broken."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, MultipartParser, parse_options_header

from app.errors import MIB, MalformedUpload, TooLarge, TooManyFiles

FORM = "multipart/form-data"
FORM_BYTES = 64 * 1024  # what a form may add to its photo: boundaries, headers, other fields
NAME_CHARACTERS = 255
FIELDS = (b"file", b"files")
LABEL = b"label"

IN_MEMORY = {"MAX_MEMORY_FILE_SIZE": float("inf")}  # python-multipart would spool to a temporary file


class Upload(NamedTuple):
    """A file of a form, with the name that the client gave it, which is only to be shown."""

    name: str
    content: bytes


class Form:
    """The files of one form, in memory, and its label; the methods are what python-multipart calls."""

    def __init__(self, boundary: bytes | None, limit_files: int) -> None:
        self.limit_files = limit_files
        self.files: list[Upload] = []
        self.label: str | None = None
        self.ended = False
        try:
            self._parser = FormParser(FORM, self._on_field, self._on_file, self._on_end, boundary, config=IN_MEMORY)
        except FormParserError as error:  # it has no boundary
            raise MalformedUpload from error

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def _on_file(self, file: File) -> None:
        file.file_object.seek(0)
        self._keep(file.field_name, file.file_name, file.file_object.read())

    def _on_field(self, field: Field) -> None:
        """A part without a file name: a photo may lack one."""
        if field.field_name == LABEL:
            self.label = (field.value or b"").decode("utf-8", "replace")
        else:
            self._keep(field.field_name, None, field.value or b"")

    def _on_end(self) -> None:
        self.ended = True

    def _keep(self, field: bytes | None, name: bytes | None, content: bytes) -> None:
        if field not in FIELDS:
            return
        if len(self.files) == self.limit_files:
            raise TooManyFiles(self.limit_files)
        self.files.append(Upload(_display_name(name), content))


class ArchiveForm:
    """The one file of a form, written to `target` as it comes; nothing else of it is kept.

    By python-multipart's inner parser, because the outer one makes files of its own. The methods are what it calls.
    """

    def __init__(self, boundary: bytes | None, target: BinaryIO) -> None:
        self._target = target
        self._name, self._value, self._disposition = b"", b"", b""
        self._is_file = False
        self.files = 0
        self.ended = False
        if boundary is None:
            raise MalformedUpload
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def _on_part_begin(self) -> None:
        self._name, self._value, self._disposition = b"", b"", b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        self._is_file = parse_options_header(self._disposition)[1].get(b"name") in FIELDS
        self.files += self._is_file
        if self.files > 1:
            raise TooManyFiles(1)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._target.write(data[start:end])

    def _on_end(self) -> None:
        self.ended = True


@contextmanager
def whole(form: Form | ArchiveForm) -> Iterator[None]:
    """The form is filled within; MalformedUpload where it can't be read, or isn't whole at the end."""
    try:
        yield
    except FormParserError as error:
        raise MalformedUpload from error
    if not form.ended:
        raise MalformedUpload


def _display_name(name: bytes | None) -> str:
    """A client's file name as text to show, and nothing else."""
    text = (name or b"").decode("utf-8", "replace")
    return "".join(character for character in text if character.isprintable())[-NAME_CHARACTERS:]


async def stream(request: Request, limit_bytes: int, form_bytes: int = 0) -> AsyncIterator[bytes]:
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


async def in_large_chunks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in fewer pieces: each goes to the disk on a thread, which costs more than a small one."""
    gathered: list[bytes] = []
    async for chunk in chunks:
        gathered.append(chunk)
        if sum(map(len, gathered)) >= MIB:
            yield b"".join(gathered)
            gathered.clear()
    yield b"".join(gathered)


def content_type(request: Request) -> str:
    return parse_options_header(request.headers.get("content-type"))[0].decode("latin-1")


def boundary(request: Request) -> bytes | None:
    return parse_options_header(request.headers["content-type"])[1].get(b"boundary")
