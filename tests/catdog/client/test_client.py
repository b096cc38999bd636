"""The client for ordinary code, against a real service."""

import json
import zipfile
from itertools import count, islice
from pathlib import Path
from threading import Thread

import pytest

from catdog.client import (
    Client,
    Conflict,
    NotFound,
    Prediction,
    Refused,
    Status,
    Unauthorized,
)
from catdog.datasets.archive import packed
from catdog.errors import DatasetError
from tests.app.service import Service


def photo(photos: Path, number: int = 0) -> Path:
    return photos / "cat" / f"{number}.png"


def test_a_photo_is_classified_by_path_or_bytes(client: Client, service: Service, photos: Path) -> None:
    path = photo(photos)
    expected = service.client.post("/predict", content=path.read_bytes()).json()

    for given in (path, str(path), path.read_bytes()):
        answer = client.predict(given)
        assert answer.model_dump(exclude={"prediction_id"}) == {
            name: value for name, value in expected.items() if name != "prediction_id"
        }


def test_the_share_that_stays_known_is_passed_on(client: Client, photos: Path) -> None:
    with pytest.raises(Refused, match="unknown_keep"):
        client.predict(photo(photos), unknown_keep=3)


def test_many_photos_are_answered_in_their_order(client: Client, photos: Path) -> None:
    paths = [photo(photos, number) for number in range(12)]

    answers = list(client.predict_many(paths, parallel=3))

    alone = [client.predict(path).probabilities for path in paths]
    assert [answer.probabilities for answer in answers if isinstance(answer, Prediction)] == alone


def test_a_photo_that_is_refused_does_not_end_the_others(client: Client, photos: Path) -> None:
    wrong, missing, right = client.predict_many([b"no photo", photos / "none.jpg", photo(photos)])

    assert isinstance(wrong, Refused)
    assert wrong.problem.type == "urn:catdog:problem:unsupported-image"
    assert isinstance(missing, FileNotFoundError)
    assert isinstance(right, Prediction)


def test_an_endless_list_of_photos_is_read_only_a_little_ahead(client: Client, photos: Path) -> None:
    content, numbers = photo(photos).read_bytes(), count()

    answers = client.predict_many((content for _ in numbers), parallel=2)

    assert len(list(islice(answers, 5))) == 5
    assert next(numbers) <= 9


def test_a_folder_becomes_a_data_set(client: Client, photos: Path) -> None:
    added = client.upload_folder(photos, "uploaded")

    assert (added.dataset, added.added, added.known, added.skipped) == ("uploaded", 24, 0, [])
    assert client.upload_folder(photos, "uploaded").known == 24


def test_only_pictures_are_packed(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "a.png").write_bytes(photo(photos).read_bytes())
    (folder / "notes.txt").write_text("no photo")

    with packed(folder) as archive:
        assert zipfile.ZipFile(archive.file).namelist() == ["cat/a.png"]
        assert sum(map(len, archive.chunks())) == archive.size_bytes


def test_what_is_no_folder_is_refused(client: Client, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not a folder"):
        client.upload_folder(tmp_path / "none", "uploaded")


def test_a_training_is_followed_until_it_is_cancelled(client: Client, photos: Path) -> None:
    client.upload_folder(photos, "followed")
    job = client.retrain("followed", notes="of a test")
    assert client.job(job.id).status is Status.QUEUED

    followed = client.follow(job.id)
    assert next(followed).status is Status.QUEUED
    canceller = Thread(target=client.cancel, args=(job.id,))
    canceller.start()
    *_, last = followed
    canceller.join()

    assert last.status is Status.CANCELLED
    assert [one.status for one in client.follow(job.id)] == [Status.CANCELLED]


def test_a_version_is_promoted_and_rolled_back(client: Client) -> None:
    assert client.champion().version == 1
    assert client.promote(2).version == 2
    assert client.champion().version == 2
    assert client.roll_back().version == 1
    with pytest.raises(NotFound, match="there is no version 9"):
        client.promote(9)
    with pytest.raises(Conflict, match="to roll back to"):
        client.roll_back()


def test_feedback_makes_a_training_picture(client: Client, photos: Path) -> None:
    answer = client.predict(photo(photos))

    picture = client.feedback(answer.prediction_id, "dog", dataset="corrected")

    assert picture.label == "dog"
    with pytest.raises(Refused, match="no class"):
        client.feedback(answer.prediction_id, "fish")


def test_without_the_key_nothing_can_be_changed(url: str) -> None:
    with Client(url) as client, pytest.raises(Unauthorized) as raised:
        client.roll_back()

    assert raised.value.problem.status == 401
    assert raised.value.problem.instance
    assert json.dumps(str(raised.value))


def test_a_folder_a_zip_and_a_data_set_are_classified_in_the_background(
    client: Client, photos: Path, tmp_path: Path
) -> None:
    zipped = tmp_path / "photos.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(photo(photos), "1.png")
        archive.writestr("broken.png", b"no photo")
    client.upload_folder(photos, "of-batches")

    *_, folder = client.follow_batch(client.start_batch(photos).id)
    of_folder = {row.path: row for row in client.rows(folder.id)}
    *_, packed_before = client.follow_batch(client.start_batch(zipped).id)
    good, broken = client.rows(packed_before.id)
    *_, dataset = client.follow_batch(client.start_batch_of_dataset("of-batches").id)

    assert [each.status for each in (folder, packed_before, dataset)] == [Status.SUCCEEDED] * 3
    assert (folder.photos, packed_before.errors, dataset.dataset) == (24, 1, "of-batches")
    alone = client.predict(photo(photos)).probabilities
    for row in (good, of_folder["cat/0.png"]):
        assert row.probabilities == pytest.approx(alone, abs=1e-6)
    assert broken.probabilities == {}
    assert (broken.error or "").startswith("the bytes are not an image")
    assert len(list(client.rows(dataset.id))) == 24


def test_a_cancelled_batch_has_no_rows(client: Client, photos: Path) -> None:
    batch = client.cancel_batch(client.start_batch(photos).id)

    *_, ended = client.follow_batch(batch.id)

    assert ended.status is Status.CANCELLED
    with pytest.raises(Conflict, match="has no result"):
        next(client.rows(batch.id))
    assert client.batch().id == batch.id
