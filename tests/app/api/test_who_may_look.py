"""Every address that answers GET, without a key, with the predict key, and with the admin key."""

from collections.abc import Iterator
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.routing import BaseRoute, Route

from app.api.model_catalog import WITHOUT_PHOTOS
from tests.app.api.test_datasets import picture, zipped
from tests.app.service import ADMIN, Service, publish, serving
from tests.waiting import until

PREDICT_KEY = "a key for predictions"
PREDICT = {"Authorization": f"Bearer {PREDICT_KEY}"}
FILE_NAME = "aunt-mary-in-hospital.png"
TRAINING_PHOTO = picture(1)
SENTENCE = "1 photo can't be read and will be left out; repair or remove"


class Needs(IntEnum):
    """The key that an address requires if a predict key is set."""

    NOTHING = 0
    PREDICT_KEY = 1
    ADMIN_KEY = 2


ADDRESSES = {
    "/": Needs.NOTHING,
    "/docs": Needs.NOTHING,
    "/page/{name}": Needs.NOTHING,
    "/openapi.json": Needs.NOTHING,
    "/health/live": Needs.NOTHING,
    "/health/ready": Needs.NOTHING,
    "/label-studio/health": Needs.NOTHING,
    "/v2/health/live": Needs.NOTHING,
    "/v2/health/ready": Needs.NOTHING,
    "/v2/models/{model}/ready": Needs.NOTHING,
    "/v2/models/{model}/versions/{version}/ready": Needs.NOTHING,
    "/model": Needs.PREDICT_KEY,
    "/audit": Needs.ADMIN_KEY,
    "/keys": Needs.ADMIN_KEY,
    "/webhooks": Needs.ADMIN_KEY,
    "/models": Needs.PREDICT_KEY,
    "/models/{version}": Needs.PREDICT_KEY,
    "/models/{version}/report": Needs.PREDICT_KEY,
    "/models/{version}/report/{name}": Needs.ADMIN_KEY,  # for a file that shows photos
    "/shadow": Needs.PREDICT_KEY,
    "/canary": Needs.PREDICT_KEY,
    "/queue": Needs.PREDICT_KEY,
    "/drift": Needs.PREDICT_KEY,
    "/metrics": Needs.PREDICT_KEY,
    "/datasets": Needs.PREDICT_KEY,
    "/datasets/{name}": Needs.PREDICT_KEY,
    "/datasets/{name}/archive": Needs.ADMIN_KEY,
    "/datasets/{name}/images/{sha256}": Needs.ADMIN_KEY,
    "/datasets/{name}/images/{sha256}/thumbnail": Needs.ADMIN_KEY,
    "/datasets/{name}/pictures": Needs.ADMIN_KEY,
    "/datasets/{name}/pictures/ids": Needs.ADMIN_KEY,
    "/changes": Needs.ADMIN_KEY,
    "/batches": Needs.PREDICT_KEY,
    "/batches/{batch}": Needs.PREDICT_KEY,
    "/batches/{batch}/result": Needs.ADMIN_KEY,
    "/comparisons": Needs.PREDICT_KEY,
    "/comparisons/{comparison}": Needs.PREDICT_KEY,
    "/retrain": Needs.PREDICT_KEY,
    "/retrain/policy": Needs.PREDICT_KEY,
    "/retrain/{job}": Needs.PREDICT_KEY,
    "/retrain/{job}/events": Needs.PREDICT_KEY,
    "/retrain/{job}/findings": Needs.ADMIN_KEY,
    "/retrain/{job}/log": Needs.ADMIN_KEY,
    "/review": Needs.ADMIN_KEY,
    "/review/{prediction_id}/picture": Needs.ADMIN_KEY,
    "/v2": Needs.PREDICT_KEY,
    "/v2/models/{model}": Needs.PREDICT_KEY,
    "/v2/models/{model}/versions/{version}": Needs.PREDICT_KEY,
    "/v1/models/{model}": Needs.PREDICT_KEY,
    "/v1/models/{model}/metadata": Needs.PREDICT_KEY,
    "/v1/models/{model}/versions/{version}": Needs.PREDICT_KEY,
    "/v1/models/{model}/versions/{version}/metadata": Needs.PREDICT_KEY,
    "/v1/models/{model}/labels/{label}": Needs.PREDICT_KEY,
    "/v1/models/{model}/labels/{label}/metadata": Needs.PREDICT_KEY,
}


class Filled(NamedTuple):
    """A service with content at every address; `names` fill the addresses' templates."""

    service: Service
    names: dict[str, str]

    def get(self, template: str, headers: dict[str, str], method: str = "GET") -> httpx.Response:
        names = self.names | ({"name": "pets"} if template.startswith("/datasets") else {})
        names |= {"name": "page.js"} if template.startswith("/page") else {}
        return self.service.client.request(method, template.format(**names), headers=headers)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    models_dir: Path = tmp_path_factory.mktemp("models")
    publish(models_dir)
    (models_dir / "1" / "report" / "worst-mistakes.png").write_bytes(TRAINING_PHOTO)
    with serving(models_dir, predict_key=SecretStr(PREDICT_KEY), worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        until(lambda: "settings changed" in service.client.get("/audit", headers=ADMIN).text)  # by the start
        yield Filled(service, _fill(service))


def _fill(service: Service) -> dict[str, str]:
    """Add a data set, a kept prediction, its batch, and a failed training whose findings name a photo."""
    members = {f"{label}/{n}.png": picture(n + 100 * (label == "dog")) for label in ("cat", "dog") for n in range(20)}
    members[f"cat/{FILE_NAME}"] = picture(500)
    client = service.client
    client.post("/datasets/pets/archive", files={"file": zipped(members)}, headers=ADMIN).raise_for_status()
    predicted = client.post("/predict", files={"file": (FILE_NAME, picture(2))}, headers=ADMIN).raise_for_status()
    job = client.post("/retrain", json={"dataset": "pets"}, headers=ADMIN).raise_for_status().json()["id"]
    lease = service.app.state.database.jobs.claim("the test")
    photo = {"name": FILE_NAME, "label": "cat", "split": "train", "sha256": "0" * 64, "picture": None, "note": ""}
    finding = {"kind": "unreadable", "sentence": SENTENCE, "photos": [photo], "count": 1}
    lease.report("findings", {"findings": 1}, findings=[finding])
    lease.end("failed", "there are too few photos")
    batch = client.post("/batches", json={"dataset": "pets"}, headers=ADMIN).raise_for_status().json()["id"]
    until(lambda: client.get(f"/batches/{batch}", headers=ADMIN).json()["status"] == "succeeded")
    comparisons = service.app.state.database.comparisons
    comparison = comparisons.submit({"versions": [1, 2], "dataset": "pets", "split": "test"}).id
    answers = [{"label": label, "probability": 0.9} for label in ("cat", "dog")]
    different = {"sha256": "0" * 64, "name": FILE_NAME, "label": "cat", "answers": answers}
    comparisons.claim("the test").end("succeeded", "compared", findings=[{"photos": [different]}])
    return {
        "batch": batch,
        "comparison": comparison,
        "model": "catdog",
        "version": "1",
        "label": "champion",
        "name": "worst-mistakes.png",
        "sha256": sha256(picture(500)).hexdigest(),
        "job": job,
        "prediction_id": predicted.json()["prediction_id"],
    }


def _templates(app: FastAPI) -> set[str]:
    routes: list[BaseRoute] = app.routes
    return {route.path_format for route in routes if isinstance(route, Route) and "GET" in (route.methods or ())}


def test_every_address_has_its_line_in_the_table(filled: Filled) -> None:
    assert _templates(filled.service.app) == set(ADDRESSES)


@pytest.mark.parametrize("template", ADDRESSES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_address_answers_only_with_the_key_that_it_needs(filled: Filled, template: str, method: str) -> None:
    for given, headers in ((Needs.NOTHING, {}), (Needs.PREDICT_KEY, PREDICT), (Needs.ADMIN_KEY, ADMIN)):
        response = filled.get(template, headers, method)

        assert response.status_code == (200 if given >= ADDRESSES[template] else 401), response.text


@pytest.mark.parametrize("template", [name for name, needed in ADDRESSES.items() if needed < Needs.ADMIN_KEY])
def test_no_file_name_and_no_photo_is_shown_without_the_admin_key(filled: Filled, template: str) -> None:
    response = filled.get(template, PREDICT)

    assert FILE_NAME not in response.text
    assert str(filled.service.app.state.settings.models_dir) not in response.text
    assert "0" * 64 not in response.text
    assert not response.headers["Content-Type"].startswith("image/")


def test_a_job_counts_its_findings_for_everyone_and_names_them_for_the_admin(filled: Filled) -> None:
    counted = filled.get("/retrain/{job}", PREDICT).json()["findings"]
    named = filled.get("/retrain/{job}", ADMIN).json()["findings"]

    assert counted == [{"kind": "unreadable", "sentence": SENTENCE, "count": 1, "photos": []}]
    assert named[0]["photos"][0]["name"] == FILE_NAME
    assert filled.get("/retrain/{job}/findings", ADMIN).json() == {"findings": named}


def test_files_of_a_report_without_photos_need_no_admin_key(filled: Filled) -> None:
    folder = filled.service.app.state.settings.models_dir / "1" / "report"
    for name in WITHOUT_PHOTOS:
        (folder / name).write_bytes(b"numbers")

        assert filled.service.client.get(f"/models/1/report/{name}", headers=PREDICT).content == b"numbers"
    listed = filled.get("/models/{version}/report", PREDICT).json()["files"]
    assert [file["name"] for file in listed if file["needs_admin_key"]] == ["worst-mistakes.png"]
