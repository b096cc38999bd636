"""The pictures of data sets over HTTP: create, list, change, undo, export."""

from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from PIL import Image

from app.retraining.upkeep import Upkeep
from catdog.jobs.job import Status
from tests.app.api.test_datasets import files, picture, zipped
from tests.app.service import Service, encoded
from tests.app.web.test_problem_details import check


@pytest.fixture
def pets(keeper: Service) -> Service:
    """A service with a data set of 12 cats and 12 dogs."""
    members = {f"{label}/{n}.png": picture(n + 100 * (label == "dog")) for label in ("cat", "dog") for n in range(12)}
    keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)}).raise_for_status()
    return keeper


def listed(service: Service, name: str = "pets", **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.client.get(f"/datasets/{name}/pictures", params=asked).json()["pictures"]
    return found


def classes(service: Service, name: str = "pets") -> dict[str, int]:
    found: dict[str, int] = {}
    for split in service.client.get(f"/datasets/{name}").json()["counts"].values():
        for label, number in split.items():
            found[label] = found.get(label, 0) + number
    return found


def change(service: Service, **asked: Any) -> dict[str, Any]:
    made: dict[str, Any] = service.client.post("/datasets/pets/changes", json=asked).raise_for_status().json()
    return made


def test_pages_lead_through_all_pictures(pets: Service) -> None:
    names: list[str] = []
    after: dict[str, int] = {}
    for _ in range(3):
        page = pets.client.get("/datasets/pets/pictures", params={"limit": 10, **after}).json()
        names += [one["sha256"] for one in page["pictures"]]
        after = {"after": page["next"]}

    assert page["next"] is None
    assert len(set(names)) == 24
    ids = pets.client.get("/datasets/pets/pictures/ids").json()["ids"]
    assert [one["id"] for one in listed(pets, ids=",".join(map(str, ids)))] == ids


def test_pictures_are_filtered_by_class_split_and_finding(pets: Service) -> None:
    assert {one["label"] for one in listed(pets, label="dog")} == {"dog"}
    counts = pets.client.get("/datasets/pets").json()["counts"]
    assert len(listed(pets, split="train", label="cat")) == counts["train"]["cat"]
    assert listed(pets, finding="duplicate") == []

    some = listed(pets)[3]
    jobs = pets.app.state.database.jobs
    jobs.submit({"dataset": "pets"})
    lease = jobs.claim("the test")
    lease.report("findings", {}, findings=[{"kind": "duplicate", "photos": [{"sha256": some["sha256"]}], "count": 1}])

    assert listed(pets, finding="duplicate") == [some]
    assert pets.client.get("/datasets/pets/pictures/ids?finding=duplicate").json()["ids"] == [some["id"]]


def test_many_pictures_are_changed_at_once_and_changed_back(pets: Service) -> None:
    some = [one["id"] for one in listed(pets, label="cat")[:5]]

    made = change(pets, ids=some, label="dog")

    assert (made["pictures"], made["kind"], made["target"], made["undone"]) == (5, "label", "dog", False)
    assert classes(pets) == {"cat": 7, "dog": 17}
    assert pets.client.get("/changes").json()["changes"] == [made]
    assert pets.client.post(f"/changes/{made['id']}/undo").json()["undone"]
    assert classes(pets) == {"cat": 12, "dog": 12}
    check(pets.client.post(f"/changes/{made['id']}/undo"), "change-not-found", 404)


def test_pictures_move_to_a_split_and_to_a_data_set(pets: Service) -> None:
    some = [one["id"] for one in listed(pets, label="cat")[:5]]

    change(pets, ids=some, split="test")
    assert {one["split"] for one in listed(pets, ids=",".join(map(str, some)))} == {"test"}
    change(pets, ids=some, dataset="others")

    assert classes(pets, "others") == {"cat": 5}
    assert classes(pets)["cat"] == 7


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"ids": [1]}, "invalid-request"),
        ({"ids": [1], "label": "dog", "delete": True}, "invalid-request"),
        ({"ids": [1], "label": "a/b"}, "unusable-dataset"),
        ({"ids": [1], "label": "unknown"}, "unusable-dataset"),
        ({"ids": [1], "dataset": "A B"}, "unusable-dataset"),
        ({"ids": [1], "split": "exam"}, "invalid-request"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(pets: Service, asked: dict[str, Any], name: str) -> None:
    check(pets.client.post("/datasets/pets/changes", json=asked), name, 422)

    assert classes(pets) == {"cat": 12, "dog": 12}


def test_deleted_pictures_stay_on_the_disk_for_as_long_as_the_setting_says(pets: Service, tmp_path: Path) -> None:
    state = pets.app.state
    upkeep = Upkeep(state.settings, state.database, state.predictor.uploads)
    change(pets, ids=[one["id"] for one in listed(pets, label="cat")], delete=True)
    upkeep.once()
    assert len(files(tmp_path)) == 24

    none_kept = state.settings.model_copy(update={"keep_deleted_days": 0})
    Upkeep(none_kept, state.database, state.predictor.uploads).once()

    assert len(files(tmp_path)) == 12
    assert pets.client.get("/changes").json() == {"changes": []}


def test_a_data_set_is_created_renamed_merged_and_deleted(pets: Service) -> None:
    client = pets.client
    assert client.post("/datasets", json={"name": "birds"}).json()["pictures"] == 0
    check(client.post("/datasets", json={"name": "birds"}), "dataset-exists", 409)
    check(client.post("/datasets", json={"name": "A b"}), "unusable-dataset", 422)
    check(client.patch("/datasets/pets", json={"name": "birds"}), "dataset-exists", 409)

    client.patch("/datasets/pets", json={"name": "animals"}).raise_for_status()
    assert [one["name"] for one in client.get("/datasets").json()["datasets"]] == ["animals", "birds"]
    merged = client.patch("/datasets/animals", json={"name": "birds", "merge": True}).json()
    assert (merged["pictures"], classes(pets, "birds")) == (24, {"cat": 12, "dog": 12})
    check(client.get("/datasets/animals"), "dataset-not-found", 404)
    deleted = client.delete("/datasets/birds").json()
    assert client.get("/datasets").json() == {"datasets": []}
    client.post(f"/changes/{deleted['id']}/undo").raise_for_status()
    assert classes(pets, "birds") == {"cat": 12, "dog": 12}
    check(client.delete("/datasets/animals"), "dataset-not-found", 404)


def test_a_data_set_that_a_training_needs_is_neither_deleted_nor_renamed(pets: Service) -> None:
    job = pets.client.post("/retrain", json={"dataset": "pets"}).raise_for_status().json()["id"]

    for answer in (pets.client.delete("/datasets/pets"), pets.client.patch("/datasets/pets", json={"name": "others"})):
        check(answer, "dataset-in-use", 409)
        assert f"DELETE /retrain/{job}" in answer.json()["detail"]

    pets.client.delete(f"/retrain/{job}").raise_for_status()
    assert pets.client.delete("/datasets/pets").json()["pictures"] == 24


def test_a_data_set_names_its_last_training(pets: Service) -> None:
    jobs = pets.app.state.database.jobs
    for status in (Status.FAILED, Status.SUCCEEDED):
        jobs.submit({"dataset": "pets"})
        lease = jobs.claim("the test")
        lease.end(status, "the test", version=2 if status is Status.SUCCEEDED else None)

    trained = pets.client.get("/datasets/pets").json()["last_training"]

    assert (trained["job"], trained["status"], trained["version"]) == (lease.job.id, "succeeded", 2)
    assert pets.client.get("/datasets").json()["datasets"][0]["last_training"] == trained


def test_a_data_set_is_downloaded_as_a_zip_that_can_be_uploaded(pets: Service) -> None:
    answer = pets.client.get("/datasets/pets/archive?splits=true")

    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="pets.zip"'
    added = pets.client.post("/datasets/again/archive", files={"file": answer.content}).json()
    assert (added["added"], added["skipped"]) == (24, [])
    assert added["counts"] == pets.client.get("/datasets/pets").json()["counts"]
    with ZipFile(BytesIO(pets.client.get("/datasets/pets/archive").content)) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"cat", "dog"}
    check(pets.client.get("/datasets/birds/archive"), "dataset-not-found", 404)


def test_a_thumbnail_is_small_upright_and_made_once(keeper: Service, tmp_path: Path) -> None:
    image = Image.new("RGB", (600, 400), "teal")
    exif = image.getexif()
    exif[0x0112] = 6  # rotated by 90 degrees
    file = BytesIO()
    image.save(file, "JPEG", exif=exif)
    stored = keeper.client.post("/datasets/pets/images", data={"label": "cat"}, files={"file": file.getvalue()}).json()
    address = f"/datasets/pets/images/{stored['results'][0]['picture']['sha256']}/thumbnail"

    first = keeper.client.get(address)
    made = list((tmp_path / "data" / "thumbnails").glob("*/*"))

    assert first.headers["Content-Type"] == "image/jpeg"
    assert Image.open(BytesIO(first.content)).size == (133, 200)
    assert [path.read_bytes() for path in made] == [first.content]
    made[0].write_bytes(b"what is stored")
    assert keeper.client.get(address).content == b"what is stored"
    check(keeper.client.get(address.replace("pets", "others")), "picture-not-found", 404)

    state = keeper.app.state
    keeper.client.delete(address.removesuffix("/thumbnail")).raise_for_status()
    Upkeep(state.settings, state.database, state.predictor.uploads).once()
    assert list((tmp_path / "data" / "thumbnails").glob("*/*")) == []


def test_a_broken_picture_has_no_thumbnail(keeper: Service) -> None:
    broken = encoded(Image.linear_gradient("L"), "JPEG")[:300]
    keeper.client.post("/datasets/pets/archive", files={"file": zipped({"cat/1.jpg": broken})}).raise_for_status()
    (one,) = listed(keeper)

    check(keeper.client.get(f"/datasets/pets/images/{one['sha256']}/thumbnail"), "broken-image", 422)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/datasets"),
        ("PATCH", "/datasets/pets"),
        ("DELETE", "/datasets/pets"),
        ("POST", "/datasets/pets/changes"),
        ("POST", "/changes/1/undo"),
    ],
)
def test_changes_need_the_admin_key(keeper: Service, method: str, path: str) -> None:
    del keeper.client.headers["Authorization"]

    check(keeper.client.request(method, path), "unauthorized", 401)
