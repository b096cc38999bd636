"""Services on several machines share pictures by a bucket, and do without it while it is away."""

import json
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from app.settings import Settings
from catdog.datasets import picture_bucket
from catdog.features import FeatureCache
from tests.app.api.test_datasets import picture, zipped
from tests.app.service import ADMIN, Service, serving
from tests.app.web.test_problem_details import check
from tests.object_store import Bucket
from tests.waiting import until

DIGESTS = [sha256(picture(number)).hexdigest() for number in range(3)]


@pytest.fixture
def machines(
    models_dir: Path, bucket: Bucket, empty_postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Service, Service]]:
    """Two machines with data folders of their own, one of which was sent three pictures of cats."""
    monkeypatch.setattr(picture_bucket, "SPARED_SECONDS", 0.0)
    given: dict[str, Any] = {
        "pictures": f"{bucket.url}/{tmp_path.name}",
        "database_url": empty_postgresql_url,
        "worker": "none",
    }
    with (
        serving(models_dir, data_dir=tmp_path / "one", **given) as one,
        serving(models_dir, data_dir=tmp_path / "two", **given) as two,
    ):
        for each in (one, two):
            each.client.headers.update(ADMIN)
            until(lambda each=each: each.client.get("/health/ready").is_success)  # type: ignore[misc]
        archive = zipped({f"cat/{number}.png": picture(number) for number in range(3)})
        one.client.post("/datasets/pets/archive", files={"file": archive}).raise_for_status()
        yield one, two


def test_another_machine_shows_exports_classifies_and_deletes_pictures(machines: tuple[Service, Service]) -> None:
    one, two = machines

    assert two.client.get(f"/datasets/pets/images/{DIGESTS[0]}").content == picture(0)
    assert two.client.get(f"/datasets/pets/images/{DIGESTS[0]}/thumbnail").headers["Content-Type"] == "image/jpeg"
    with ZipFile(BytesIO(two.client.get("/datasets/pets/archive").content)) as archive:
        assert {archive.read(name) for name in archive.namelist()} == {picture(number) for number in range(3)}
    two.client.patch("/datasets/pets", json={"name": "animals"}).raise_for_status()
    deleted = two.client.delete(f"/photos/{DIGESTS[0]}").json()["datasets"]
    assert deleted == ["animals", "pets"], "also where it can be undone"
    for each in machines:
        check(each.client.get(f"/datasets/animals/images/{DIGESTS[0]}"), "picture-not-found", 404)
    assert one.client.get(f"/datasets/animals/images/{DIGESTS[1]}").content == picture(1)


def test_without_the_bucket_predictions_and_labels_go_on_and_the_rest_is_answered_503(
    machines: tuple[Service, Service], bucket: Bucket, jpeg: bytes
) -> None:
    one, two = machines
    two.client.get(f"/datasets/pets/images/{DIGESTS[0]}/thumbnail").raise_for_status()
    kept = one.client.post("/predict", files={"file": jpeg}).json()["prediction_id"]
    feedback = {"prediction_id": kept, "label": "cat", "dataset": "pets"}

    with bucket.away():
        for each in machines:
            assert each.client.post("/predict", files={"file": jpeg}).is_success
            assert each.client.get("/health/ready").is_success
        assert two.client.get("/datasets/pets").json()["pictures"] == 3
        assert two.client.get(f"/datasets/pets/images/{DIGESTS[0]}/thumbnail").is_success, "it was made before"
        numbers = [each["id"] for each in two.client.get("/datasets/pets/pictures").json()["pictures"]]
        change = {"label": "dog", "ids": numbers[:1]}
        assert two.client.post("/datasets/pets/changes", json=change).status_code == 201
        refused = [
            one.client.post("/datasets/pets/images", data={"label": "cat"}, files={"file": picture(9)}),
            one.client.post("/datasets/pets/archive", files={"file": zipped({"cat/9.png": picture(9)})}),
            one.client.post("/feedback", json=feedback),
            two.client.get(f"/datasets/pets/images/{DIGESTS[1]}"),
            two.client.get(f"/datasets/pets/images/{DIGESTS[1]}/thumbnail"),
            two.client.get("/datasets/pets/archive"),
            two.client.delete(f"/datasets/pets/images/{DIGESTS[1]}"),
            two.client.delete(f"/photos/{DIGESTS[1]}"),
        ]
    for answer in refused:
        check(answer, "store-unavailable", 503)
        assert int(answer.headers["Retry-After"]) > 0

    assert one.client.get("/datasets/pets").json()["pictures"] == 3, "refused means not done"
    assert one.client.post("/feedback", json=feedback).status_code == 201
    assert two.client.delete(f"/photos/{DIGESTS[1]}").json()["datasets"] == ["pets"]
    assert one.client.get("/datasets/pets").json()["pictures"] == 3


def test_what_another_machine_has_of_a_deleted_photo_is_deleted_by_its_clean_up(
    machines: tuple[Service, Service],
) -> None:
    one, two = machines
    photos = {number: {"file": (f"{number}.png", picture(number))} for number in (0, 1)}
    kept = {number: one.client.post("/predict", files=photos[number]).json()["prediction_id"] for number in photos}
    for digest in DIGESTS[:2]:
        one.client.get(f"/datasets/pets/images/{digest}/thumbnail").raise_for_status()
    one.client.post("/datasets/pets/looks").raise_for_status()
    (features,) = (FeatureCache(file) for file in (data_dir(one) / "features").glob("*.sqlite"))
    assert set(features.known(DIGESTS[:2])) == set(DIGESTS[:2])

    assert two.client.delete(f"/photos/{DIGESTS[0]}").json()["datasets"] == ["pets"]
    again = one.client.post("/predict", files=photos[0]).json()["prediction_id"]
    one.app.state.upkeep.once()

    assert set(features.known(DIGESTS[:2])) == {DIGESTS[1]}
    assert {file.name for file in (data_dir(one) / "thumbnails").rglob("*") if file.is_file()} == {DIGESTS[1]}
    check(one.client.get(f"/review/{kept[0]}/picture"), "prediction-not-found", 404)
    for prediction in (kept[1], again):
        assert one.client.get(f"/review/{prediction}/picture").is_success


def data_dir(service: Service) -> Path:
    folder: Path = service.app.state.settings.data_dir
    return folder


def test_a_batch_of_a_data_set_waits_for_the_bucket(models_dir: Path, bucket: Bucket, tmp_path: Path) -> None:
    given: dict[str, Any] = {"pictures": f"{bucket.url}/{tmp_path.name}", "worker": "none"}
    with serving(models_dir, data_dir=tmp_path / "data", **given) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        archive = zipped({f"cat/{number}.png": picture(number) for number in range(3)})
        service.client.post("/datasets/pets/archive", files={"file": archive}).raise_for_status()
        with bucket.away():
            batch = service.client.post("/batches", json={"dataset": "pets"}).headers["Location"]
            log = tmp_path / "data" / "jobs" / f"{batch.rpartition('/')[2]}.log"
            until(lambda: log.exists() and "waiting for the object store" in log.read_text())
            assert service.client.get(batch).json()["status"] == "running"

        until(lambda: service.client.get(batch).json()["status"] == "succeeded")

        text = service.client.get(f"{batch}/result", params={"format": "jsonl"}).text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row.get("error") for row in rows] == [None] * 3


def test_a_place_of_pictures_is_a_folder_or_a_url() -> None:
    assert Settings(pictures="s3://bucket/pictures/").pictures == "s3://bucket/pictures"
    assert Settings(pictures="elsewhere").pictures == Path("elsewhere")
    with pytest.raises(ValueError, match="write a folder, or a URL such as"):
        Settings(pictures="https://bucket/pictures")


def test_pictures_may_lie_in_another_folder(models_dir: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"pictures": tmp_path / "elsewhere", "worker": "none"}
    with serving(models_dir, data_dir=tmp_path / "data", **given) as service:
        service.client.headers.update(ADMIN)
        until(lambda: service.client.get("/health/ready").is_success)
        answer = service.client.post("/datasets/pets/images", data={"label": "cat"}, files={"file": picture(0)})
        assert answer.status_code == 201

    assert (tmp_path / "elsewhere" / DIGESTS[0][:2] / DIGESTS[0]).read_bytes() == picture(0)
    assert not (tmp_path / "data" / "pictures").exists()
