"""Wrong names, queries, headers and bodies at every address get an answer that says what to do."""

import gzip
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from zipfile import ZipFile

import httpx
import pytest
from starlette.routing import Route

from app.deferred_routes import built
from app.main import EARLY, LATER
from tests.app.service import ADMIN, Service, publish, serving
from tests.waiting import until

NOT_NOW = {503, 507}  # documented: overloaded or not ready, disk full
LONGEST_DETAIL = 1500  # characters
NAMES = {
    "nothing": "nothing",
    "dots": "%2E%2E",
    "slashes": "..%2F..%2Fetc%2Fpasswd",
    "NUL": "a%00b",
    "no UTF-8": "%FF%FE",
    "very long": "n" * 5000,
    "letters of many scripts": "%E7%8C%AB%F0%9F%90%88",
    "spaces": "%20a%20",
    "negative": "-1",
    "not a number": "NaN",
    "huge": "9" * 400,
    "markup": "%3Cscript%3E",
    "line break": "a%0D%0Ab",
    "template": "%7Bversion%7D",
}
GOOD = {
    "model": "catdog",
    "version": "1",
    "label": "champion",
    "job": "latest",
    "batch": "0" * 32,
    "change": "1",
    "delivery": "1",
    "sha256": "0" * 64,
    "name": "pets",
}


def zipped(content: bytes) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("cat/a.png", content)
    return file.getvalue()


BODIES: dict[str, tuple[bytes, str]] = {
    "none": (b"", ""),
    "none, of JSON": (b"", "application/json"),
    "text": (b"cat", "text/plain"),
    "text for JSON": (b"cat", "application/json"),
    "half of JSON": (b'{"dataset": "pe', "application/json"),
    "JSON that is null": (b"null", "application/json"),
    "a list": (b"[]", "application/json"),
    "an empty object": (b"{}", "application/json"),
    "not a number": (b'{"instances": NaN, "inputs": NaN, "epochs": NaN}', "application/json"),
    "a huge number": (b'{"instances": [1e999], "dataset": ' + b"9" * 5000 + b"}", "application/json"),
    "wrong types": (
        b'{"dataset": [], "label": {}, "prediction_id": 7, "inputs": 7, "examples": 7}',
        "application/json",
    ),
    "half of a character": (
        b'{"dataset": "\\ud83d", "label": "\\ud83d", "prediction_id": "\\ud83d"}',
        "application/json",
    ),
    "NUL in a name": (b'{"dataset": "a\\u0000", "label": "\\u0000", "prediction_id": "\\u0000"}', "application/json"),
    "depth": (b"[" * 50_000, "application/json"),
    "no UTF-8": (b'{"dataset": "\xff"}', "application/json"),
    "a form without a boundary": (b"cat", "multipart/form-data"),
    "a form that ends early": (b"--x\r\nContent-Disposition: form-data; na", "multipart/form-data; boundary=x"),
    "a form without a field": (b"--x--\r\n", "multipart/form-data; boundary=x"),
    "a form with another field": (
        b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\nabc\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
    ),
    "a form with an empty file": (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
    ),
    "a form of an address": (b"file=cat.jpg", "application/x-www-form-urlencoded"),
    "half of a ZIP": (zipped(b"x" * 200)[:80], "application/zip"),
    "a ZIP of text": (zipped(b"cat"), "application/zip"),
    "text for a picture": (b"cat", "image/jpeg"),
    "gzip for a picture": (gzip.compress(b"cat"), "image/jpeg"),
    "a content type that is none": (b"cat", ";;;="),
    "a content type of 5,000 letters": (b"cat", "x" * 5000),
}
MAY_BE_EMPTY = ("/promote", "/rollback", "/load", "/unload", "/index")  # their bodies are optional or ignored


class Use(NamedTuple):
    """A request, and what is wrong with it."""

    wrong: str
    method: str
    path: str
    content: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})

    def __str__(self) -> str:
        return f"{self.method} {self.path[:60]}: {self.wrong}"


def _addresses() -> Iterator[tuple[str, str]]:
    for route in built(EARLY + LATER):
        if isinstance(route, Route):
            yield from ((method, route.path) for method in sorted(route.methods or ()))


def _wrong_names() -> Iterator[Use]:
    for method, template in _addresses():
        for parameter in [part.partition("}")[0] for part in template.split("{")[1:]]:
            for wrong, name in NAMES.items():
                if parameter == "name" and template.startswith("/datasets") and name in ("nothing", "-1"):
                    continue  # a valid name
                path = template.replace(f"{{{parameter}}}", name)
                yield Use(f"{parameter} is {wrong}", method, path.format(**GOOD, prediction_id="0"))


def _wrong_bodies() -> Iterator[Use]:
    for method, template in _addresses():
        if method == "POST" and not template.endswith(MAY_BE_EMPTY):
            for wrong, (content, content_type) in BODIES.items():
                if wrong == "a form with an empty file" and template == "/predict/batch":
                    continue  # each photo has its own problem
                if wrong == "a ZIP of text" and template == "/batches":
                    continue  # a file that is no photo is a row with its error
                yield Use(
                    f"the body is {wrong}",
                    method,
                    template.format(**GOOD),
                    content,
                    {"Content-Type": content_type} if content_type else {},
                )


def _wrong_queries() -> Iterator[Use]:
    for address in ("/retrain?limit=", "/review?limit=", "/drift?hours="):
        for value in ("0", "-1", "NaN", "x", "", "1e9", "9" * 400, "%00", "%FF"):
            yield Use("a number is wrong", "GET", address + value)
    for value in ("", "maybe", "TRUE", "%00", "x" * 5000):
        yield Use("a choice is wrong", "POST", f"/predict?explain={value}", b"cat", {"Content-Type": "image/jpeg"})
    for value in ("0", "-1", "x", "9" * 400, "%00"):
        for change in ("load", "unload"):
            yield Use("a version is wrong", "POST", f"/v2/repository/models/catdog/{change}?version={value}")


def _wrong_headers() -> Iterator[Use]:
    for value in ("x", "-1", "9" * 30, "1.5", "0x7"):
        header = {"Inference-Header-Content-Length": value}
        yield Use("a length is wrong", "POST", "/v2/models/catdog/infer", b"{}", header)
    for value in ("x" * 256,):
        asked = b'{"dataset": "nothing"}'
        yield Use("a key is wrong", "POST", "/retrain", asked, {"Idempotency-Key": value, **JSON})
    for value in ("", "Bearer", "Basic eDp5", "Bearer wrong", f"{'x' * 5000}"):
        yield Use("the admin key is wrong", "POST", "/rollback", b"", {"Authorization": value})
    for method in ("PUT", "PATCH", "OPTIONS", "TRACE", "NONSENSE"):
        yield Use("a method is wrong", method, "/predict")
    for path in (
        "/predict/",
        "/Predict",
        "//",
        "/models//1",
        "/v3/models/catdog",
        "/.env",
        "/%2e%2e/%2e%2e/etc/passwd",
    ):
        yield Use("an address is wrong", "GET", path)


JSON = {"Content-Type": "application/json"}
USES = [*_wrong_names(), *_wrong_bodies(), *_wrong_queries(), *_wrong_headers()]


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    models_dir: Path = tmp_path_factory.mktemp("models")
    publish(models_dir)
    with serving(models_dir, worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


def said(response: httpx.Response) -> str:
    """The detail of a refusal, after checking all that a refusal must have."""
    answer: dict[str, Any] = response.json()
    if response.request.url.path.startswith(("/v1", "/v2")):
        assert list(answer) == ["error"], response.text
        return str(answer["error"])
    assert response.headers["Content-Type"] == "application/problem+json"
    assert answer["status"] == response.status_code
    return str(answer["detail"])


@pytest.mark.parametrize("use", USES, ids=str)
def test_a_wrong_use_is_refused_with_what_is_wrong(used: Service, use: Use) -> None:
    url = f"{used.client.base_url}".rstrip("/") + use.path
    response = used.client.request(use.method, url, content=use.content, headers={**ADMIN, **use.headers})

    assert 400 <= response.status_code < 500 or response.status_code in NOT_NOW, response.text
    if use.method == "HEAD":
        return
    detail = said(response)
    assert detail
    assert len(detail) <= LONGEST_DETAIL, len(detail)
    for leak in ("Traceback", "Value error", str(used.app.state.settings.models_dir), "site-packages", ".py"):
        assert leak not in response.text


def test_wrong_uses_leave_nothing_behind(used: Service) -> None:
    assert used.client.get("/health/ready").is_success
    assert used.client.get("/retrain").json() == {"jobs": []}
    assert used.client.get("/datasets").json() == {"datasets": []}


def test_there_are_many_wrong_uses() -> None:
    assert len(USES) > 500
