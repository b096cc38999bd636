"""What the model in service says of the pictures of a data set, and which of them look alike."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.retraining import opinions
from catdog.features import FOLDER
from catdog.versions.store import Store
from tests.app.api.test_datasets import zipped
from tests.app.service import Service, encoded, probabilities, publish
from tests.app.web.test_problem_details import check
from tests.waiting import until
from training.data import service_datasets
from training.data.features import FeatureExtractor

PICTURES = 12


def drawn(seed: int, channel: int) -> bytes:
    """A noisy picture that is mostly of one colour."""
    noise = np.random.default_rng(seed).integers(0, 60, (24, 32, 3), np.uint8)
    noise[..., channel] += 190
    return encoded(Image.fromarray(noise), "PNG")


@pytest.fixture
def pets(keeper: Service) -> Service:
    """A service with red and green pictures, half of each under each class."""
    members = {
        f"{'cat' if seed % 2 else 'dog'}/{('red', 'green')[channel]}-{seed}.png": drawn(seed, channel)
        for channel in (0, 1)
        for seed in range(PICTURES // 2)
    }
    keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)}).raise_for_status()
    return keeper


def listed(service: Service, **asked: Any) -> list[dict[str, Any]]:
    answer = service.client.get("/datasets/pets/pictures", params=asked).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["pictures"]
    return found


def look(service: Service) -> dict[str, int]:
    counted: dict[str, int] = service.client.post("/datasets/pets/looks").raise_for_status().json()
    return counted


def test_the_opinions_are_the_answers_to_the_pictures(pets: Service) -> None:
    assert listed(pets, opinion="disagrees") == []
    assert {one["opinion"] for one in listed(pets, opinions=True)} == {None}

    assert look(pets) == {"pictures": PICTURES, "judged": 0, "left": 0, "unreadable": 0}

    champion, classes = pets.predictor.champion, pets.predictor.champion.manifest.classes
    wrong = set()
    for one in listed(pets, opinions=True):
        content = pets.client.get(f"/datasets/pets/images/{one['sha256']}").content
        expected = probabilities(champion, content)
        assert one["opinion"]["label"] == classes[int(np.argmax(expected))]
        assert one["opinion"]["probability"] == pytest.approx(max(expected), abs=1e-4)
        if one["opinion"]["label"] != one["label"]:
            wrong.add(one["id"])
    assert wrong
    found = listed(pets, opinion="disagrees", opinions=True)
    assert {one["id"] for one in found} == wrong
    sure = [one["opinion"]["probability"] for one in found]
    assert sure == sorted(sure, reverse=True)
    unsure = [one["opinion"]["probability"] for one in listed(pets, opinion="unsure", opinions=True)]
    assert unsure == sorted(one for one in unsure if one < opinions.SURE)
    assert listed(pets, opinion="unknown") == []


def test_it_looks_at_a_few_at_a_time_and_never_again(pets: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opinions, "TOGETHER", 5)
    broken = zipped({"cat/broken.png": drawn(99, 0)[:60]})
    pets.client.post("/datasets/pets/archive", files={"file": broken}).raise_for_status()

    seen = [look(pets) for _ in range(4)]

    assert [one["left"] for one in seen] == [8, 3, 0, 0]
    assert [one["pictures"] for one in seen] == [5, 5, 3, 0]
    assert seen[-1]["unreadable"] == 1


def test_what_a_training_has_cached_is_not_computed_again(pets: Service) -> None:
    settings, state = pets.app.state.settings, pets.app.state
    network = Store(settings.models_dir).open(1).network()
    _, splits = service_datasets.photos(state.database.datasets, "pets")
    photos = [photo for some in splits.values() for photo in some]
    FeatureExtractor(settings.data_dir / FOLDER, lambda photo, error: None).outputs(photos, network)

    assert look(pets) == {"pictures": 0, "judged": PICTURES, "left": 0, "unreadable": 0}
    assert len([one for one in listed(pets, opinions=True) if one["opinion"]]) == PICTURES


def test_pictures_that_look_alike_come_first(pets: Service) -> None:
    look(pets)
    asked = next(one for one in listed(pets) if one["name"] == "green-3.png")

    found = listed(pets, like=asked["sha256"])

    assert found[0] == asked
    assert len(found) == PICTURES
    assert {one["name"].partition("-")[0] for one in found[: PICTURES // 2]} == {"green"}
    assert {one["label"] for one in listed(pets, like=asked["sha256"], label="cat")} == {"cat"}


def test_a_picture_that_was_not_looked_at_is_only_like_itself(pets: Service) -> None:
    asked = listed(pets)[0]

    assert listed(pets, like=asked["sha256"]) == [asked]
    check(pets.client.get(f"/datasets/pets/pictures?like={'0' * 64}"), "picture-not-found", 404)


def test_the_opinions_are_those_of_the_version_in_service(pets: Service) -> None:
    models_dir = pets.app.state.settings.models_dir
    number = publish(models_dir, seed=21)
    look(pets)
    before = {one["id"]: one["opinion"] for one in listed(pets, opinions=True)}
    try:
        pets.client.post(f"/models/{number}/promote").raise_for_status()
        assert look(pets)["pictures"] == PICTURES
        after = {one["id"]: one["opinion"] for one in listed(pets, opinions=True)}
    finally:
        pets.client.post("/models/1/promote").raise_for_status()
        pets.client.delete(f"/models/{number}").raise_for_status()

    assert all(before[number] != after[number] for number in before)


def test_a_list_is_judged_in_parts_until_none_is_left(pets: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Very many pictures of known features are judged by several requests, so that the first ones come soon."""
    look(pets)
    whole = listed(pets, opinion="unsure")
    assert len(whole) > 2
    pets.app.state.opinions._judge = None  # as after a restart of the service
    monkeypatch.setattr(opinions, "ROWS", 2)
    for limit in ("JUDGE_SECONDS", "MORE_SECONDS"):
        monkeypatch.setattr(opinions, limit, 0.0)

    assert len(listed(pets, opinion="unsure")) <= 2
    rest = [look(pets) for _ in range(PICTURES // 2)]

    assert [one["judged"] for one in rest] == [2] * (PICTURES // 2 - 1) + [0]
    assert [one["left"] for one in rest] == [*range(PICTURES - 4, -1, -2), 0]
    assert listed(pets, opinion="unsure") == whole


def test_a_list_of_numbers_prepares_the_first_list_by_opinion(pets: Service) -> None:
    assert pets.app.state.opinions._judge is None

    pets.client.get("/datasets/pets/pictures/ids").raise_for_status()

    until(lambda: pets.app.state.opinions._judge is not None)
