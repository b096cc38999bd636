"""The common form of all errors."""

import errno
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app import errors
from app.web.problem_kinds import KINDS
from catdog import errors as domain
from catdog.datasets import errors as datasets
from catdog.engines.engine import Engine, Explained, Output, Precision
from catdog.errors import ImageError
from catdog.jobs import errors as jobs
from catdog.network.architecture import Arrays
from tests.app.service import Service, encoded, serving
from tests.waiting import until

MIB = 2**20
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'


class StumblingEngine:
    """An engine that fails unexpectedly."""

    streams = 1
    largest_batch = 1

    precision: Precision = "f32"

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        raise RuntimeError("secret of /home/someone")

    def explain(self, pixels: NDArray[np.uint8], shared: bool = False) -> Explained:
        raise RuntimeError("secret of /home/someone")

    def with_head(self, arrays: Arrays) -> Engine:
        return self


class Case(NamedTuple):
    """A request that fails, and its expected problem."""

    name: str
    status: int
    send: Callable[[httpx.Client], httpx.Response]


def post(*files: bytes, to: str = "/predict") -> Callable[[httpx.Client], httpx.Response]:
    return lambda client: client.post(to, files=[("file", file) for file in files])


def body(content: bytes, headers: dict[str, str], to: str = "/predict") -> Callable[[httpx.Client], httpx.Response]:
    return lambda client: client.post(to, content=content, headers=headers)


def chunked(count: int, to: str = "/predict") -> Callable[[httpx.Client], httpx.Response]:
    def send(client: httpx.Client) -> httpx.Response:
        return client.post(to, content=iter([bytes(MIB)] * count), headers={"Content-Type": "image/png"})

    return send


JPEG = encoded(Image.linear_gradient("L"), "JPEG")
TOO_MANY_PIXELS = encoded(Image.new("1", (6000, 6000)), "PNG")

CASES = [
    Case("not-found", 404, lambda client: client.get("/nothing")),
    Case("not-found", 404, post(JPEG, to="/predict/")),
    Case("method-not-allowed", 405, lambda client: client.get("/predict")),
    Case("method-not-allowed", 405, lambda client: client.delete("/model")),
    Case("too-large", 413, post(bytes(11 * MIB))),
    Case("too-large", 413, body(bytes(11 * MIB), {"Content-Type": "image/png"})),
    Case("too-large", 413, chunked(11)),
    Case("too-large", 413, body(bytes(65 * MIB), FORM, to="/predict/batch")),
    Case("unsupported-content-type", 415, body(JPEG, {"Content-Type": "application/x-www-form-urlencoded"})),
    Case("unsupported-content-type", 415, body(b"{}", {"Content-Type": "application/json"})),
    Case("unsupported-content-type", 415, body(JPEG, {"Content-Type": "image/jpeg"}, to="/predict/batch")),
    Case("unsupported-image", 415, post(b"plain text")),
    Case("unsupported-image", 415, body(b"plain text", {"Content-Type": "image/jpeg"})),
    Case("broken-image", 422, post(JPEG[:300])),
    Case("too-many-pixels", 422, post(TOO_MANY_PIXELS)),
    Case("no-file", 422, post(b"")),
    Case("no-file", 422, body(b"", {"Content-Type": "image/jpeg"})),
    Case("no-file", 422, lambda client: client.post("/predict", files={"picture": JPEG})),
    Case("no-file", 422, lambda client: client.post("/predict/batch", files={"picture": JPEG})),
    Case("too-many-files", 422, post(JPEG, JPEG)),
    Case("too-many-files", 422, post(*[b"a"] * 65, to="/predict/batch")),
    Case("too-many-fields", 422, lambda client: client.post("/predict", files=[("a", b"")] * 65)),
    Case("unsupported-content-encoding", 415, body(JPEG, {"Content-Type": "image/jpeg", "Content-Encoding": "br"})),
    Case("expands-too-much", 413, body(gzip.compress(bytes(8 * MIB)), {"Content-Encoding": "gzip"})),
    Case("malformed-upload", 422, body(JPEG, {"Content-Encoding": "gzip"})),
    Case("malformed-upload", 422, body(b"", FORM)),
    Case("malformed-upload", 422, body(PART + JPEG, FORM)),
    Case("malformed-upload", 422, body(b"--y\r\n", FORM)),
    Case("malformed-upload", 422, body(PART, {"Content-Type": "multipart/form-data"})),
    Case("malformed-upload", 422, body(b"--x\r\n\r\nnameless\r\n--x--\r\n", FORM, to="/predict/batch")),
]


def check(response: httpx.Response, name: str, status: int) -> None:
    """Check that the response is a problem of this kind in the common form."""
    problem = response.json()
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert list(problem) == ["type", "title", "status", "detail", "instance"]
    assert problem["type"] == f"urn:catdog:problem:{name}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == f"urn:uuid:{UUID(response.headers['X-Request-ID'])}"
    assert "Traceback" not in response.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_error_has_the_same_form(service: Service, case: Case) -> None:
    check(case.send(service.client), case.name, case.status)


def test_every_error_of_a_photo_is_a_kind_of_problem() -> None:
    assert set(ImageError.__subclasses__()) < set(KINDS)


def test_every_error_of_a_request_is_a_kind_of_problem() -> None:
    assert set(errors.ServiceError.__subclasses__()) < set(KINDS)


ERRORS = [
    (domain.VersionNotFound(9, (1,)), "version-not-found", 404),
    (datasets.DatasetNotFound("pets", ()), "dataset-not-found", 404),
    (datasets.PictureNotFound("pets", "0" * 64), "picture-not-found", 404),
    (domain.PredictionNotFound("7"), "prediction-not-found", 404),
    (jobs.JobNotFound("7"), "job-not-found", 404),
    (domain.VersionInService(2), "version-in-service", 409),
    (domain.ShippedVersion(1), "shipped-version", 409),
    (domain.BrokenVersion(2, "it is"), "broken-version", 409),
    (domain.NoEarlierChampion(1), "no-earlier-champion", 409),
    (domain.ChampionChanged(1, 2), "champion-changed", 409),
    (domain.StoreError("the pointer can't be read"), "model-store", 409),
    (jobs.JobEnded("7", "failed"), "job-ended", 409),
    (domain.ArchiveError("it holds a bomb"), "archive-refused", 422),
    (domain.DatasetError("too few pictures"), "unusable-dataset", 422),
    (domain.UnknownLabel("cow", ("cat", "dog")), "unknown-label", 422),
    (jobs.KeyReused("7"), "key-reused", 422),
    (errors.NoLabel(), "no-label", 422),
    (jobs.QueueFull(20), "queue-full", 429),
    (domain.NoChampion(), "no-champion", 503),
    (errors.TrainerMissing(), "trainer-missing", 503),
    (domain.DatabaseUnavailable("secret of postgresql://me:pw@there"), "database-unavailable", 503),
    (OSError(errno.ENOSPC, "no space left", "/home/someone"), "insufficient-storage", 507),
    (OSError(errno.EDQUOT, "quota exceeded", "/home/someone"), "insufficient-storage", 507),
    (OSError(errno.EFBIG, "file too large", "/home/someone"), "insufficient-storage", 507),
    (PermissionError(errno.EACCES, "denied", "/home/someone"), "internal-error", 500),
    (jobs.LeaseLost("7"), "internal-error", 500),
]


@pytest.fixture(scope="module")
def failing(models_dir: Path) -> Iterator[Service]:
    """A service with an address for each error."""

    def fail(place: int) -> None:
        raise ERRORS[place][0]

    with serving(models_dir) as service:
        service.app.add_api_route("/fail/{place}", fail)
        yield service


@pytest.mark.parametrize("place", range(len(ERRORS)), ids=lambda place: ERRORS[place][1])
def test_an_error_of_any_part_has_the_same_form(failing: Service, place: int, caplog: pytest.LogCaptureFixture) -> None:
    error, name, status = ERRORS[place]

    response = failing.client.get(f"/fail/{place}")

    check(response, name, status)
    assert "secret" not in response.text
    assert "/home/someone" not in response.text
    is_ours_to_mend = isinstance(error, OSError | domain.DatabaseUnavailable | jobs.LeaseLost)
    assert (response.headers["X-Request-ID"] in caplog.text) == is_ours_to_mend


def test_a_database_that_does_not_answer_says_why_in_the_log_alone(
    failing: Service, caplog: pytest.LogCaptureFixture
) -> None:
    place = [name for _, name, _ in ERRORS].index("database-unavailable")

    response = failing.client.get(f"/fail/{place}")

    assert "secret of postgresql" in caplog.text
    assert "Traceback" not in caplog.text
    assert response.headers["Retry-After"] == "5"


def test_a_full_queue_says_when_to_come_back(failing: Service) -> None:
    place = [name for _, name, _ in ERRORS].index("queue-full")

    assert failing.client.get(f"/fail/{place}").headers["Retry-After"] == "60"


def test_a_problem_names_the_methods_that_an_address_takes(service: Service) -> None:
    assert service.client.get("/predict").headers["Allow"] == "POST"


def test_a_typed_parameter_that_does_not_fit_has_the_same_form(tmp_path: Path) -> None:
    async def typed(number: int) -> int:
        return number

    with serving(tmp_path) as service:
        service.app.add_api_route("/typed", typed)
        response = service.client.get("/typed?number=seven")

    check(response, "invalid-request", 422)
    assert response.json()["detail"].startswith("query.number: ")


@pytest.mark.parametrize(
    "send",
    [
        post(JPEG),
        post(JPEG, to="/predict/batch"),
        body(b"{}", {"Content-Type": "application/json"}),  # wrong too, but not read
        lambda client: client.get("/model"),
    ],
)
def test_a_service_without_a_champion_has_the_same_form_and_says_when_to_come_back(
    tmp_path: Path, send: Callable[[httpx.Client], httpx.Response]
) -> None:
    with serving(tmp_path) as service:
        until(lambda: "being loaded" not in service.client.get("/health/ready").text)
        for response in (service.client.get("/health/ready"), send(service.client)):
            check(response, "not-ready", 503)
            assert response.headers["Retry-After"] == "1"


def test_an_unexpected_error_is_logged_with_its_trace_and_answered_without(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with service.with_engine(lambda _: StumblingEngine()):
        response = service.client.post("/predict", files={"file": JPEG})

    check(response, "internal-error", 500)
    assert "secret" not in response.text
    (record,) = [record for record in caplog.records if record.exc_info]
    assert response.headers["X-Request-ID"] in record.getMessage()
    assert "secret of /home/someone" in caplog.text
