"""Compressed bodies, on all routes that read a body."""

import gzip
import json
import zlib
from collections.abc import Callable

import httpx
import pytest
from starlette.datastructures import Headers

from app.errors import ExpandsTooMuch, MalformedUpload, UnsupportedContentEncoding
from app.web.content_encoding import FREE_BYTES, LIMIT_RATIO, PIECE_BYTES, Decoder
from tests.app.service import ADMIN, Service

CONTENT = bytes(range(256)) * 1000


def raw_deflate(content: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(content) + compressor.flush()


def decoded(coding: str, *chunks: bytes) -> bytes:
    decoder = Decoder(Headers({"Content-Encoding": coding}))
    pieces = [piece for chunk in chunks for piece in decoder.decode(chunk)]
    decoder.end()
    assert all(len(piece) <= PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)],
)
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_body_comes_out_as_it_was_before_it_was_compressed(
    coding: str, compress: Callable[[bytes], bytes], size: int
) -> None:
    sent = compress(CONTENT)

    assert decoded(coding, *[sent[start : start + size] for start in range(0, len(sent), size)]) == CONTENT


def test_members_of_gzip_may_follow_each_other() -> None:
    assert decoded("gzip", gzip.compress(b"one, ") + gzip.compress(b"two")) == b"one, two"


def test_a_small_body_may_expand_as_it_likes_and_a_large_one_only_so_far() -> None:
    assert decoded("gzip", gzip.compress(bytes(FREE_BYTES))) == bytes(FREE_BYTES)

    with pytest.raises(ExpandsTooMuch, match=f"{LIMIT_RATIO} times"):
        decoded("gzip", gzip.compress(bytes(3 * FREE_BYTES)))


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("gzip", b"plain"),
        ("deflate", b"plain"),
        ("gzip", gzip.compress(CONTENT)[:-1]),
        ("deflate", zlib.compress(CONTENT)[:-1]),
        ("gzip", gzip.compress(CONTENT) + b"more"),
        ("deflate", zlib.compress(CONTENT) + b"more"),
    ],
)
def test_a_broken_body_is_refused(coding: str, sent: bytes) -> None:
    with pytest.raises(MalformedUpload, match=coding):
        decoded(coding, sent)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "x" * 500])
def test_what_is_not_decoded_is_named(coding: str) -> None:
    with pytest.raises(UnsupportedContentEncoding, match=f"'{coding[:50]}' is not supported; send gzip or deflate"):
        decoded(coding)


REQUESTS: list[tuple[str, str]] = [
    ("/predict", "image/jpeg"),
    ("/predict", "multipart/form-data; boundary=x"),
    ("/predict/batch", "multipart/form-data; boundary=x"),
    ("/v1/models/catdog:predict", "application/json"),
    ("/v2/models/catdog/infer", "application/json"),
    ("/v2/repository/models/catdog/load", "application/json"),
    ("/feedback", "application/json"),
    ("/retrain", "application/json"),
    ("/datasets/pets/images", "multipart/form-data; boundary=x"),
    ("/datasets/pets/archive", "application/zip"),
]


@pytest.mark.parametrize(("path", "content_type"), REQUESTS)
def test_every_route_decodes_gzip_and_names_what_it_does_not_decode(
    keeper: Service, path: str, content_type: str
) -> None:
    def sent(coding: str, content: bytes) -> httpx.Response:
        headers = {"Content-Type": content_type, "Content-Encoding": coding, **ADMIN}
        return keeper.client.post(path, content=content, headers=headers)

    refused = sent("br", b"anything")
    broken = sent("gzip", b"anything")

    assert refused.status_code == 415
    assert "'br' is not supported" in refused.text
    assert refused.headers["Accept-Encoding"] == "gzip, deflate"
    assert broken.status_code == 422
    assert "not valid gzip" in broken.text
    assert "not valid gzip" not in sent("gzip", gzip.compress(b"{}")).text
    assert keeper.app.state.bodies.held_bytes == 0


def test_a_compressed_photo_form_and_json_are_answered_like_the_plain_ones(service: Service, jpeg: bytes) -> None:
    label = service.client.post("/predict", content=jpeg).json()["label"]
    form = httpx.Request("POST", "http://x", files={"file": jpeg})
    pixels = {"name": "pixels", "datatype": "UINT8", "shape": [1, 224, 224, 3], "data": [0] * 150528}

    def asked(path: str, content: bytes, content_type: str) -> httpx.Response:
        headers = {"Content-Type": content_type, "Content-Encoding": "gzip"}
        return service.client.post(path, content=gzip.compress(content), headers=headers)

    assert asked("/predict", jpeg, "image/jpeg").json()["label"] == label
    assert asked("/predict", form.read(), form.headers["Content-Type"]).json()["label"] == label
    answer = asked("/v2/models/catdog/infer", json.dumps({"inputs": [pixels]}).encode(), "application/json")
    assert answer.status_code == 200, answer.text


def test_what_zlib_holds_after_a_full_piece_is_decoded_as_well() -> None:
    content = bytes(PIECE_BYTES + 100)

    assert decoded("deflate", raw_deflate(content)) == content
