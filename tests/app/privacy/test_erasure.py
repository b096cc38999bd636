"""Everything that is stored of a photo can be deleted, and old photos are deleted by themselves."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pytest
from sqlalchemy import select

from app.retraining.thumbnails import Thumbnails
from app.serving import prediction_log
from app.serving.prediction_log import PredictionLog
from catdog.features import Entry, FeatureCache
from catdog.jobs.job import Status
from catdog.tables import former_pictures, pictures
from catdog.versions.version import TRAINED_ON
from tests.app.api.test_datasets import picture
from tests.app.service import ADMIN, Service, publish, serving
from tests.app.serving.test_prediction_log import NOW, add, ids
from tests.app.web.test_problem_details import check
from tests.waiting import until

PHOTO, OTHER = picture(1), picture(2)
SHA256, ANOTHER = sha256(PHOTO).hexdigest(), sha256(OTHER).hexdigest()
NAME = "aunt-mary-in-hospital.png"


@pytest.fixture(scope="module")
def holding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that knows two photos in every way."""
    models_dir = tmp_path_factory.mktemp("models")
    publish(models_dir)
    with h5py.File(models_dir / "1" / TRAINED_ON, "w") as file:
        file["contents"] = np.array([int(SHA256[:16], 16), int(ANOTHER[:16], 16)], np.uint64)
    with serving(models_dir, worker="none", cache_items=9) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        fill(service)
        yield service


def fill(service: Service) -> None:
    client = service.client
    for dataset in ("pets", "others"):
        for content in (PHOTO, OTHER):
            files = {"file": (NAME, content)}
            client.post(f"/datasets/{dataset}/images", data={"label": "cat"}, files=files).raise_for_status()
    for content in (PHOTO, PHOTO, OTHER):
        client.post("/predict", files={"file": (NAME, content)}).raise_for_status()
    for digest in (SHA256, ANOTHER):
        client.get(f"/datasets/pets/images/{digest}/thumbnail").raise_for_status()
    client.post("/datasets/pets/looks").raise_for_status()
    cache = FeatureCache(service.app.state.settings.data_dir / "features" / "another-network.sqlite")
    entry = Entry(np.ones(4, np.float32), np.zeros((16, 16), np.uint8))
    cache.add({SHA256: entry, ANOTHER: entry})
    named = [{"name": NAME, "sha256": digest} for digest in (SHA256, ANOTHER)]
    finding = {"kind": "unreadable", "sentence": "2 photos", "photos": named, "count": 2}
    jobs = service.app.state.database.jobs
    jobs.submit({"dataset": "pets"})
    lease = jobs.claim("the test")
    lease.report("findings", {"findings": 1}, findings=[finding])
    lease.end(Status.FAILED, "the test ended it")
    ids = client.get("/datasets/others/pictures/ids").json()["ids"]
    client.post("/datasets/others/changes", json={"delete": True, "ids": ids}).raise_for_status()


def traces(service: Service, digest: str) -> dict[str, int]:
    """How often each place still has the photo with this sha256."""
    data = service.app.state.settings.data_dir
    records = service.app.state.database
    with records.database.reading() as connection:
        rows = [
            connection.execute(select(table.c.id).where(table.c.sha256 == digest)).all()
            for table in (pictures, former_pictures)
        ]
    findings = records.jobs.history.newest_findings("pets")
    return {
        "uploads": sum(kept.sha256 == digest for kept in service.predictor.uploads.newest()),
        "rows": len(rows[0]),
        "rows of changes": len(rows[1]),
        "files": sum(digest in path.name for path in data.rglob("*") if "thumbnails" not in path.parts),
        "thumbnails": Thumbnails(data).stored(digest) is not None,
        "features": sum(len(FeatureCache(file).read([digest])) for file in data.glob("features/*.sqlite")),
        "answers": sum(key.photo == digest for key in service.predictor._cache._outputs),
        "findings": sum(photo["sha256"] == digest for finding in findings for photo in finding["photos"]),
        "bytes": sum(digest.encode() in path.read_bytes() for path in data.glob("features/*.sqlite")),
    }


def test_a_photo_is_deleted_wherever_it_is_and_others_stay(holding: Service) -> None:
    before, other = traces(holding, SHA256), traces(holding, ANOTHER)
    assert all(before.values()), before
    prediction = next(
        kept.prediction.prediction_id for kept in holding.predictor.uploads.newest() if kept.sha256 == SHA256
    )

    erased = holding.client.delete(f"/predictions/{prediction}").raise_for_status().json()

    assert not any(traces(holding, SHA256).values())
    assert traces(holding, ANOTHER) == other
    assert len(erased.pop("predictions")) == 2
    assert erased == {
        "sha256": SHA256,
        "datasets": ["others", "pets"],
        "thumbnail": True,
        "features": 2,
        "answers": 1,
        "findings": 1,
        "versions": [1],
    }
    check(holding.client.delete(f"/predictions/{prediction}"), "prediction-not-found", 404)
    again = holding.client.delete(f"/photos/{SHA256}").raise_for_status().json()
    assert (again["predictions"], again["datasets"], again["features"]) == ([], [], 0)


def test_a_photo_that_a_training_needs_stays_until_it_has_ended(keeper: Service) -> None:
    keeper.client.post("/datasets/pets/images", data={"label": "cat"}, files={"file": PHOTO}).raise_for_status()
    job = keeper.app.state.database.jobs.submit({"dataset": "pets"}).id

    check(keeper.client.delete(f"/photos/{SHA256}"), "dataset-in-use", 409)
    assert keeper.client.get(f"/datasets/pets/images/{SHA256}").is_success

    keeper.client.delete(f"/retrain/{job}").raise_for_status()
    assert keeper.client.delete(f"/photos/{SHA256}").json()["datasets"] == ["pets"]
    assert keeper.client.get(f"/datasets/pets/images/{SHA256}").status_code == 404


def test_kept_photos_are_deleted_once_they_are_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = PredictionLog(tmp_path, 9, 10**6, keep_days=2)
    days = 24 * 3600 * 10**9
    added = []
    for age in (3, 2.1, 1.9, 0):
        monkeypatch.setattr(prediction_log, "time_ns", lambda age=age: NOW - int(age * days))
        added.append(add(uploads))
    monkeypatch.setattr(prediction_log, "time", lambda: NOW / 1e9)

    uploads.sweep()

    assert ids(uploads) == added[:1:-1]
