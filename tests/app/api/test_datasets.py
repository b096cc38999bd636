from hashlib import sha256
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

from tests.app.service import ADMIN, Service, encoded, serving
from tests.app.web.test_problem_details import check


def picture(shade: int) -> bytes:
    """A picture that no other shade gives."""
    return encoded(Image.new("RGB", (8, 8), (shade % 256, shade // 256, 0)), "PNG")


def zipped(members: dict[str, bytes]) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def files(folder: Path) -> set[str]:
    """All files below the folder of pictures, except its lock and its marker."""
    return {path.name for path in (folder / "data" / "pictures").rglob("*") if path.is_file()} - {".lock", ".database"}


def test_pictures_are_uploaded_under_a_label(keeper: Service, tmp_path: Path) -> None:
    uploads = [("file", (f"{n}.png", picture(n))) for n in range(3)]

    answer = keeper.client.post("/datasets/pets/images", data={"label": "cat"}, files=uploads)

    assert answer.status_code == 201
    assert [item["picture"]["name"] for item in answer.json()["results"]] == ["0.png", "1.png", "2.png"]
    assert all(item["is_new"] and item["picture"]["label"] == "cat" for item in answer.json()["results"])
    assert files(tmp_path) == {sha256(picture(n)).hexdigest() for n in range(3)}


def test_a_file_that_is_no_picture_does_not_touch_the_others(keeper: Service, tmp_path: Path) -> None:
    broken = encoded(Image.linear_gradient("L"), "JPEG")[:300]
    uploads = [("file", picture(1)), ("file", b"text"), ("file", broken), ("file", b""), ("file", picture(1))]

    results = keeper.client.post("/datasets/pets/images", data={"label": "cat"}, files=uploads).json()["results"]

    assert [item.get("problem", {}).get("type", "").rpartition(":")[2] for item in results] == [
        "",
        "unsupported-image",
        "broken-image",
        "no-file",
        "",
    ]
    assert [item.get("is_new") for item in results] == [True, None, None, None, False]
    assert len(files(tmp_path)) == 1


def test_the_label_may_come_after_the_pictures(keeper: Service) -> None:
    answer = keeper.client.post("/datasets/pets/images", files=[("file", picture(1)), ("label", (None, "dog"))])

    assert answer.json()["results"][0]["picture"]["label"] == "dog"


def test_a_client_s_file_name_is_only_ever_text(keeper: Service, tmp_path: Path) -> None:
    uploads = [("file", ("../../evil\x1b[2J\u202e.png", picture(1)))]

    (item,) = keeper.client.post("/datasets/pets/images", data={"label": "cat"}, files=uploads).json()["results"]

    assert item["picture"]["name"].isprintable()
    assert files(tmp_path) == {item["picture"]["sha256"]}


def test_an_archive_of_class_folders_is_accepted(keeper: Service) -> None:
    members = {f"{label}/{n}.png": picture(n + 100 * (label == "dog")) for label in ("cat", "dog") for n in range(30)}
    members["cat/notes.txt"] = b"no picture"

    answer = keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)})

    assert answer.status_code == 201
    assert (answer.json()["added"], answer.json()["known"]) == (60, 0)
    assert [skipped["name"] for skipped in answer.json()["skipped"]] == ["cat/notes.txt"]
    assert (answer.json()["renamed"], answer.json()["empty"]) == ({}, [])
    counts = keeper.client.get("/datasets/pets").json()["counts"]
    assert answer.json()["counts"] == counts
    assert sum(counts[split]["cat"] for split in counts) == 30
    assert set(counts) == {"train", "validation", "test"}


def test_the_answer_to_an_archive_says_which_classes_it_took(keeper: Service) -> None:
    keeper.client.post("/datasets/pets/images", data={"label": "cat"}, files={"file": picture(0)})
    members = {
        "pets/training_set/Cat/1.png": picture(1),
        "pets/training_set/dog/1.png": picture(2),
        "pets/val/dog/1.png": picture(3),
        "pets/val/bird/": b"",
        "pets/licence.docx": zipped({"[Content_Types].xml": b"<Types/>"}),
    }

    answer = keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)})

    assert answer.status_code == 201
    assert answer.json()["counts"] == {"train": {"cat": 1, "dog": 1}, "validation": {"dog": 1}}
    assert answer.json()["renamed"] == {"Cat": "cat"}
    assert answer.json()["empty"] == ["pets/val/bird"]
    assert [skipped["name"] for skipped in answer.json()["skipped"]] == ["pets/licence.docx"]


def test_an_archive_whose_folders_can_be_read_in_two_ways_is_refused_with_what_was_seen(keeper: Service) -> None:
    members = {"images/cat/1.png": picture(1), "images/dog/1.png": picture(2), "docs/readme.png": picture(3)}

    answer = keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)})

    check(answer, "archive-refused", 422)
    assert "seen: docs/ (1), images/cat/ (1), images/dog/ (1); wanted: <class>/photo.jpg" in answer.json()["detail"]


@pytest.mark.parametrize("label", ["Pepper,_bell___healthy", "Corn_(maize)___healthy", "गाय's & +1", "x" * 100])
def test_pictures_go_under_any_label_that_a_training_takes_and_an_answer_says_how_it_is_spelt(
    keeper: Service, label: str
) -> None:
    first = keeper.client.post("/datasets/pets/images", data={"label": f" {label}"}, files={"file": picture(1)})
    second = keeper.client.post("/datasets/pets/images", data={"label": label.upper()}, files={"file": picture(2)})

    assert first.json()["renamed"] == {}
    assert second.json()["renamed"] == {label.upper(): label}
    assert {answer.json()["results"][0]["picture"]["label"] for answer in (first, second)} == {label}


def test_an_archive_may_be_the_whole_body_and_may_say_the_splits(keeper: Service) -> None:
    members = {f"{split}/cat/{n}.png": picture(n) for n, split in enumerate(("train", "validation", "test"))}

    answer = keeper.client.post(
        "/datasets/pets/archive", content=zipped(members), headers={"Content-Type": "application/zip"}
    )
    again = keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)})

    assert (answer.json()["added"], again.json()["added"], again.json()["known"]) == (3, 0, 3)
    assert keeper.client.get("/datasets").json()["datasets"] == [
        {
            "name": "pets",
            "pictures": 3,
            "counts": {split: {"cat": 1} for split in ("train", "validation", "test")},
            "last_training": None,
        }
    ]


def test_a_bad_archive_is_refused_whole(keeper: Service, tmp_path: Path) -> None:
    members = {"cat/1.png": picture(1), "../evil.png": picture(2)}

    answer = keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)})

    check(answer, "archive-refused", 422)
    assert "../evil.png" in answer.json()["detail"]
    assert files(tmp_path) == set()
    assert keeper.client.get("/datasets").json() == {"datasets": []}


def test_an_archive_that_is_too_large_is_refused_and_leaves_nothing(models_dir: Path, tmp_path: Path) -> None:
    with serving(models_dir, data_dir=tmp_path / "data", worker="none", max_archive_bytes=2**20) as service:
        large = zipped({"cat/1.png": picture(1)}) + bytes(2**21)
        for answer in (
            service.client.post("/datasets/pets/archive", files={"file": large}, headers=ADMIN),
            service.client.post(
                "/datasets/pets/archive", content=large, headers={**ADMIN, "Content-Type": "application/zip"}
            ),
        ):
            check(answer, "too-large", 413)

    assert files(tmp_path) == set()


def test_a_picture_can_be_removed(keeper: Service, tmp_path: Path) -> None:
    uploads = [("file", picture(1)), ("file", picture(2))]
    results = keeper.client.post("/datasets/pets/images", data={"label": "cat"}, files=uploads).json()["results"]
    first, second = (item["picture"]["sha256"] for item in results)

    assert keeper.client.delete(f"/datasets/pets/images/{first}").status_code == 204

    assert files(tmp_path) == {second}
    check(keeper.client.delete(f"/datasets/pets/images/{first}"), "picture-not-found", 404)


@pytest.mark.parametrize(
    ("path", "label", "name", "status"),
    [
        ("/datasets/pets/images", None, "no-label", 422),
        ("/datasets/pets/images", "../cat", "unusable-dataset", 422),
        ("/datasets/pets/images", "", "unusable-dataset", 422),
        ("/datasets/pets/images", "Unknown", "unusable-dataset", 422),
        ("/datasets/pets/images", "neither", "unusable-dataset", 422),
        ("/datasets/Pets/images", "cat", "unusable-dataset", 422),
        ("/datasets/.../images", "cat", "unusable-dataset", 422),
        ("/datasets/pets/archive", "cat", "archive-refused", 422),
    ],
)
def test_unusable_uploads_are_refused_with_the_reason(
    keeper: Service, tmp_path: Path, path: str, label: str | None, name: str, status: int
) -> None:
    data = {} if label is None else {"label": label}

    check(keeper.client.post(path, data=data, files={"file": picture(1)}), name, status)

    assert files(tmp_path) == set()


def test_an_unknown_data_set_is_not_found(keeper: Service) -> None:
    check(keeper.client.get("/datasets/pets"), "dataset-not-found", 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/datasets/pets/images"),
        ("POST", "/datasets/pets/archive"),
        ("DELETE", f"/datasets/pets/images/{'0' * 64}"),
        ("POST", "/feedback"),
        ("GET", "/review"),
        ("GET", "/review/1/picture"),
        ("POST", "/retrain"),
        ("DELETE", "/retrain/latest"),
        ("GET", "/retrain/latest/log"),
    ],
)
def test_pictures_and_jobs_need_the_admin_key(keeper: Service, method: str, path: str) -> None:
    del keeper.client.headers["Authorization"]

    check(keeper.client.request(method, path), "unauthorized", 401)
