import sys
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from tests.app.service import ADMIN, Service, encoded, serving
from tests.app.serving.test_prediction_log import keeping, made_by
from tests.app.web.test_problem_details import check
from tests.waiting import until


def photo(shade: int) -> bytes:
    return encoded(Image.new("L", (16, 16), shade), "PNG")


def predict(service: Service, shade: int) -> dict[str, object]:
    answer: dict[str, object] = service.client.post("/predict", files={"file": photo(shade)}).json()
    return answer


def test_feedback_turns_a_predicted_photo_into_a_training_picture(keeper: Service) -> None:
    prediction = predict(keeper, 10)

    said = keeper.client.post("/feedback", json={"prediction_id": prediction["prediction_id"], "label": "dog"})

    assert said.status_code == 201
    assert (said.json()["label"], said.json()["source"]) == ("dog", "feedback")
    assert keeper.client.get("/datasets/feedback").json()["pictures"] == 1


def test_a_photo_of_neither_class_is_kept_and_makes_no_class_to_train(keeper: Service) -> None:
    for shade, label in enumerate(("cat", "neither")):
        said = {"prediction_id": predict(keeper, shade)["prediction_id"], "label": label, "dataset": "pets"}
        assert keeper.client.post("/feedback", json=said).json()["label"] == label

    assert keeper.client.get("/datasets/pets").json()["pictures"] == 2
    refused = keeper.client.post("/retrain", json={"dataset": "pets"})
    check(refused, "unusable-dataset", 422)
    assert "pictures of cat to train on" in refused.json()["detail"]


def test_feedback_finds_the_class_whatever_its_case(keeper: Service) -> None:
    said = {"prediction_id": predict(keeper, 10)["prediction_id"], "label": " Dog"}

    assert keeper.client.post("/feedback", json=said).json()["label"] == "dog"


def test_the_last_word_on_a_photo_counts_and_may_go_to_any_data_set(keeper: Service) -> None:
    said = {"prediction_id": predict(keeper, 10)["prediction_id"], "dataset": "pets"}

    for label in ("cat", "dog"):
        assert keeper.client.post("/feedback", json={**said, "label": label}).is_success

    (count,) = keeper.client.get("/datasets/pets").json()["counts"].values()
    assert count == {"dog": 1}


def test_a_batch_can_be_given_feedback_as_well(keeper: Service) -> None:
    answers = keeper.client.post("/predict/batch", files=[("file", photo(1)), ("file", photo(2))]).json()["results"]

    for item in answers:
        said = {"prediction_id": item["prediction"]["prediction_id"], "label": "cat"}
        assert keeper.client.post("/feedback", json=said).is_success


def test_review_lists_only_unknown_photos_if_asked_to_and_refuses_orders_that_it_does_not_know(keeper: Service) -> None:
    predict(keeper, 10)

    assert keeper.client.get("/review?order=unknown").json()["items"] == []  # this version has no detector
    assert len(keeper.client.get("/review?order=mixed").json()["items"]) == 1
    check(keeper.client.get("/review?order=random"), "invalid-request", 422)


def test_review_lists_the_least_sure_photos_without_a_label(keeper: Service) -> None:
    answers = [predict(keeper, shade) for shade in range(0, 250, 25)]
    predict(keeper, 0)  # the same photo again counts once

    items = keeper.client.get("/review?limit=8").json()["items"]
    probabilities = [item["prediction"]["probability"] for item in items]
    assert len(items) == 8
    assert probabilities == sorted(probabilities)
    assert {item["reason"] for item in items} <= {"unsure", "next"}

    first = items[0]["prediction"]
    keeper.client.post("/feedback", json={"prediction_id": first["prediction_id"], "label": first["label"]})
    left = keeper.client.get("/review").json()["items"]
    assert len(left) == len(answers) - 1
    assert first["prediction_id"] not in [item["prediction"]["prediction_id"] for item in left]


def test_a_photo_to_review_can_be_looked_at_and_does_nothing_else(keeper: Service) -> None:
    predict(keeper, 10)
    (item,) = keeper.client.get("/review").json()["items"]

    shown = keeper.client.get(item["picture"])

    assert (shown.content, shown.headers["Content-Type"]) == (photo(10), "image/png")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown.headers["Content-Security-Policy"]


def test_only_the_last_photos_are_kept(models_dir: Path, tmp_path: Path) -> None:
    with serving(models_dir, data_dir=tmp_path / "data", worker="none", keep_uploads=3) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        ids = [str(predict(service, shade)["prediction_id"]) for shade in range(6)]
        gone = service.client.post("/feedback", json={"prediction_id": ids[0], "label": "cat"}, headers=ADMIN)

    assert sorted(path.name for path in (tmp_path / "data" / "uploads").glob("?" * len(ids[0]))) == ids[-3:]
    check(gone, "prediction-not-found", 404)


def test_nothing_is_kept_where_that_is_turned_off(models_dir: Path, tmp_path: Path) -> None:
    with serving(models_dir, data_dir=tmp_path / "data", worker="none", keep_uploads=0) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        assert predict(service, 1)["prediction_id"]
        assert service.client.get("/review", headers=ADMIN).json() == {"items": [], "drifted": []}

    assert not (tmp_path / "data" / "uploads").exists()


def test_what_is_not_to_be_kept_any_more_goes_at_the_next_start(models_dir: Path, tmp_path: Path) -> None:
    uploads = tmp_path / "data" / "uploads"
    with serving(models_dir, data_dir=tmp_path / "data", worker="none", keep_uploads=5) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        for shade in range(5):
            predict(service, shade)
    assert len(list(uploads.iterdir())) == 5

    with serving(models_dir, data_dir=tmp_path / "data", worker="none", keep_uploads=2):
        until(lambda: len(list(uploads.iterdir())) == 2)
    with serving(models_dir, data_dir=tmp_path / "data", worker="none", keep_uploads=0):
        until(lambda: list(uploads.iterdir()) == [])


def test_a_file_that_a_crash_left_is_no_prediction(keeper: Service, tmp_path: Path) -> None:
    prediction = predict(keeper, 10)
    (tmp_path / "data" / "uploads" / ("f" * 32)).write_bytes(b"")

    (item,) = keeper.client.get("/review").json()["items"]
    assert item["prediction"] == prediction
    check(keeper.client.get(f"/review/{'f' * 32}/picture"), "prediction-not-found", 404)


def test_a_photo_that_was_not_kept_to_its_end_is_no_prediction(keeper: Service, tmp_path: Path) -> None:
    """The file is cut at any byte, and other files are in the folder."""
    prediction = predict(keeper, 10)
    prediction_id = str(prediction["prediction_id"])
    uploads = tmp_path / "data" / "uploads"
    whole = (uploads / prediction_id).read_bytes()
    line = whole.index(b"\n") + 1
    shorter = [whole[:length] for length in (0, 1, line // 2, line - 1, line, line + 1, len(whole) - 1)]
    cuts = [*shorter, whole.replace(b'"bytes"', b'"before"', 1), whole + b"\0"]
    for place, content in enumerate(cuts):
        (uploads / f"{place:032x}").write_bytes(content)

    (item,) = keeper.client.get("/review").json()["items"]

    assert item["prediction"] == prediction
    for place in range(len(cuts)):
        name = f"{place:032x}"
        check(keeper.client.get(f"/review/{name}/picture"), "prediction-not-found", 404)
        said = {"prediction_id": name, "label": "cat"}
        check(keeper.client.post("/feedback", json=said), "prediction-not-found", 404)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("keep", [9, 90])  # with 90 a file has several photos
def test_a_photo_that_does_not_fit_on_the_disk_leaves_nothing(
    tmp_path: Path, is_first: bool, keep: int, caplog: pytest.LogCaptureFixture
) -> None:
    import resource

    uploads = keeping(tmp_path, keep)
    prediction = made_by(uploads)
    if not is_first:
        uploads.add(made_by(uploads), photo(1))
    (tmp_path / "uploads").mkdir(exist_ok=True)
    before = {path.name: path.read_bytes() for path in (tmp_path / "uploads").iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        uploads.add(prediction, bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert {path.name: path.read_bytes() for path in (tmp_path / "uploads").iterdir()} == before
    assert "can't be kept for feedback" in caplog.text
    uploads.add(made_by(uploads), photo(2))
    assert next(uploads.newest()).sha256 == sha256(photo(2)).hexdigest()
    uploads.close()


@pytest.mark.parametrize("prediction_id", ["", "../admin.key", "0" * 32, "g" * 32, "0" * 31 + "\x00"])
def test_feedback_on_a_prediction_that_was_never_made_is_refused(keeper: Service, prediction_id: str) -> None:
    said = keeper.client.post("/feedback", json={"prediction_id": prediction_id, "label": "cat"})

    check(said, "prediction-not-found", 404)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"label": "cats"}, "unknown-label"),
        ({"label": ""}, "invalid-request"),
        ({}, "invalid-request"),
        ({"label": "cat", "more": 1}, "invalid-request"),
        ({"label": "cat", "dataset": "../pets"}, "unusable-dataset"),
    ],
)
def test_feedback_that_makes_no_sense_is_refused(keeper: Service, said: dict[str, object], name: str) -> None:
    prediction_id = predict(keeper, 10)["prediction_id"]

    check(keeper.client.post("/feedback", json={"prediction_id": prediction_id, **said}), name, 422)
