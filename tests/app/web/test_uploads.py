import asyncio
import tempfile
from itertools import pairwise

import pytest
from fastapi import FastAPI, Request
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from app.admission import Bodies
from app.errors import MalformedUpload, ServiceError, TooLarge, TooManyFields, TooManyFiles
from app.settings import Settings
from app.web.multipart import FORM_BYTES, OTHER_FIELDS
from app.web.uploads import read_photo, read_photos
from tests.app.service import ADMIN_KEY

SMALL = Settings.model_construct(max_upload_bytes=1000, max_batch_bytes=4000, max_batch_files=3)
LARGE = Settings.model_construct()
FORM = "multipart/form-data; boundary=x"
END = b"--x--\r\n"


def part(content: bytes, name: str = "file", more: str = '; filename="a"') -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


class Body:
    """A request whose body has these chunks, and the number of chunks that were read."""

    def __init__(self, *chunks: bytes, content_type: str = FORM, declared: int | None = None) -> None:
        self.chunks = chunks
        self.taken = 0
        headers = [(b"content-type", content_type.encode())]
        if declared is not None:
            headers.append((b"content-length", str(declared).encode()))
        self.app = FastAPI()
        self.app.state.admin_key = ADMIN_KEY
        self.app.state.bodies = Bodies(Settings.model_construct(max_uploads=1))
        self.request = Request({"type": "http", "method": "POST", "headers": headers, "app": self.app}, self._receive)

    async def _receive(self) -> Message:
        chunk = self.chunks[self.taken] if self.chunks else b""
        self.taken += 1
        return {"type": "http.request", "body": chunk, "more_body": self.taken < len(self.chunks)}

    def photo(self, settings: Settings = SMALL) -> bytes:
        return asyncio.run(read_photo(self.request, settings))

    def photos(self, settings: Settings = SMALL) -> list[bytes | ServiceError]:
        return asyncio.run(read_photos(self.request, settings))


@pytest.mark.parametrize("more", ['; filename="a"', ""])
def test_a_photo_needs_no_file_name(more: str) -> None:
    assert Body(part(b"\xff\xd8photo", more=more) + END).photo() == b"\xff\xd8photo"


def test_other_fields_are_passed_over() -> None:
    assert Body(part(b"a cat", "caption", "") + part(b"photo") + part(b"x", "other") + END).photo() == b"photo"


def test_a_declared_length_is_refused_before_a_byte_is_read() -> None:
    body = Body(b"", content_type="image/png", declared=1001)

    with pytest.raises(TooLarge):
        body.photo()

    assert body.taken == 0


def test_an_undeclared_length_is_counted_as_it_arrives() -> None:
    body = Body(*[bytes(100)] * 100, content_type="image/png")

    with pytest.raises(TooLarge) as caught:
        body.photo()

    assert body.taken == 11
    assert caught.value.limit_bytes == 1000


def test_a_length_declared_too_small_is_counted_all_the_same() -> None:
    with pytest.raises(TooLarge):
        Body(bytes(1001), content_type="image/png", declared=5).photo()


def test_what_a_form_adds_to_its_photo_is_bounded() -> None:
    body = Body(*[part(bytes(1000), "caption", "")] * 100, part(b"photo"), END)

    with pytest.raises(TooLarge):
        body.photo()

    assert body.taken == (SMALL.max_upload_bytes + FORM_BYTES) // len(part(bytes(1000), "caption", "")) + 1


def test_a_batch_is_bounded_as_a_whole() -> None:
    with pytest.raises(TooLarge):
        Body(part(bytes(4000)) + END).photos()


def test_reading_stops_at_the_first_photo_too_many() -> None:
    body = Body(*[part(b"photo")] * 10, END)

    with pytest.raises(TooManyFiles):
        body.photos()

    assert body.taken < 6


def test_reading_stops_at_the_first_field_too_many() -> None:
    fields = [part(b"", "caption", "")] * (OTHER_FIELDS + 10)

    assert Body(*fields[:OTHER_FIELDS], part(b"photo"), END).photo() == b"photo"
    body = Body(*fields, part(b"photo"), END)
    with pytest.raises(TooManyFields):
        body.photo()
    assert body.taken == OTHER_FIELDS + 1


def test_a_form_without_boundary_says_who_sets_it() -> None:
    for content_type in ("multipart/form-data", "multipart/form-data; boundary="):
        with pytest.raises(MalformedUpload, match="has no boundary; don't set the header by hand"):
            Body(part(b"photo") + END, content_type=content_type).photo()


@pytest.mark.parametrize(("coding", "content"), [("base64", b"cGhvdG8="), ("Quoted-Printable", b"=70hoto")])
def test_a_part_may_be_encoded_for_mail(coding: str, content: bytes) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="file"\r\nContent-Transfer-Encoding: {coding}\r\n\r\n'

    assert Body(head.encode() + content + b"\r\n" + END).photo() == b"photo"


def test_a_photo_that_is_wrong_is_its_own_error_in_a_batch() -> None:
    empty, photo, large = Body(part(b"") + part(b"photo") + part(bytes(1001)) + END).photos()

    assert isinstance(empty, ServiceError)
    assert photo == b"photo"
    assert isinstance(large, TooLarge)


def test_nothing_is_ever_spooled_to_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a temporary file")

    for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp", "SpooledTemporaryFile"):
        monkeypatch.setattr(tempfile, name, refuse)
    photo = bytes(LARGE.max_upload_bytes)

    assert Body(part(photo) + END).photo(LARGE) == photo
    assert Body(part(photo) * 6 + END).photos(LARGE) == [photo] * 6


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 300), max_size=5))
def test_a_photo_comes_out_as_it_went_in_however_it_is_cut(photo: bytes, cuts: list[int]) -> None:
    whole = part(photo or b"-") + END
    places = [0, *sorted(cuts), len(whole)]
    chunks = [whole[start:end] for start, end in pairwise(places)]

    assert Body(*chunks).photo() == (photo or b"-")


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"--x", b"--", b"\r\n", b"\r", b"Content-Disposition: form-data", b'; name="file"',
    b"; filename=a", b":", b"\0", b"Content-Transfer-Encoding: base64", b"photo"]), max_size=25))  # fmt: skip
def test_a_form_of_any_bytes_is_read_or_refused(pieces: list[bytes]) -> None:
    try:
        photos = Body(b"--x\r\n" + b"".join(pieces)).photos()
    except ServiceError:
        return
    assert all(isinstance(photo, bytes | ServiceError) for photo in photos)
