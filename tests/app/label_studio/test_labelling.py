"""What people say in Label Studio becomes labelled pictures, and starts trainings."""

from typing import Any

import pytest
from PIL import Image

from tests.app.label_studio.studio import CONFIGURATION, Studio, annotation, basic, event
from tests.app.service import Service, encoded
from tests.app.web.test_problem_details import check


def photo(shade: int) -> bytes:
    return encoded(Image.new("L", (16, 16), shade), "PNG")


def told(service: Service, what: dict[str, Any]) -> dict[str, Any]:
    said = service.client.post("/label-studio/webhook", json=what)
    assert said.is_success, said.text
    answer: dict[str, Any] = said.json()
    return answer


def labelled(service: Service) -> dict[str, int]:
    """Number of pictures by class."""
    found: dict[str, int] = {}
    for dataset in service.client.get("/datasets").json()["datasets"]:
        assert dataset["name"] == "label-studio"
        for counts in dataset["counts"].values():
            for label, number in counts.items():
                found[label] = found.get(label, 0) + number
    return found


def test_an_annotation_becomes_a_labelled_picture_and_a_later_one_replaces_it(
    connected: Service, studio: Studio
) -> None:
    task = studio.task(1, photo(1))

    assert told(connected, event("ANNOTATION_CREATED", task=task, annotation=annotation("Cat")))["labels"] == 1
    assert labelled(connected) == {"cat": 1}
    told(connected, event("ANNOTATION_UPDATED", task=task, annotation=annotation("Dog")))
    assert labelled(connected) == {"dog": 1}


def test_several_annotations_at_once_are_stored(connected: Service, studio: Studio) -> None:
    tasks = [studio.task(number, photo(number)) for number in range(20)]
    said = [annotation("Cat" if number % 2 else "Owl") for number in range(20)]

    assert told(connected, event("ANNOTATIONS_CREATED", task=tasks, annotation=said))["labels"] == 20
    assert labelled(connected) == {"cat": 10, "Owl": 10}  # a class that the version doesn't have yet


@pytest.mark.parametrize(
    "what",
    [
        event("ANNOTATION_CREATED", annotation=annotation("Cat", was_cancelled=True)),
        event("ANNOTATION_CREATED", annotation={"id": 1, "result": []}),
        event("ANNOTATIONS_DELETED", annotations=[{"id": 1}]),
        event("TASKS_CREATED", tasks=[{"id": 1, "data": {}}]),
        {"action": "PROJECT_DELETED"},
    ],
)
def test_other_events_are_ignored(connected: Service, studio: Studio, what: dict[str, Any]) -> None:
    task = {"task": studio.task(1, photo(1))} if "annotation" in what else {}

    assert told(connected, what | task) == {"labels": 0, "failed": [], "job": None}
    assert labelled(connected) == {}


def test_a_label_whose_picture_can_t_be_stored_says_why(connected: Service, studio: Studio) -> None:
    missing = {"id": 7, "data": {"image": "/data/none.png"}}

    said = told(connected, event("ANNOTATION_CREATED", task=missing, annotation=annotation("Cat")))

    assert said["failed"] == ["task 7: '/data/none.png' can't be fetched: Label Studio answered 404"]


def test_start_training_stores_all_annotations_and_queues_a_job(connected: Service, studio: Studio) -> None:
    for number in range(24):
        said = [annotation("Owl"), annotation("Cat" if number % 2 else "Dog")]  # the last one counts
        studio.exported.append({**studio.task(number, photo(10 * number)), "annotations": said})

    answer = told(connected, event("START_TRAINING"))

    assert (answer["labels"], answer["failed"]) == (24, [])
    assert labelled(connected) == {"cat": 12, "dog": 12}
    job = connected.client.get(f"/retrain/{answer['job']}").json()
    assert (job["status"], job["request"]["dataset"]) == ("queued", "label-studio")
    assert connected.client.delete(f"/retrain/{answer['job']}").is_success


def test_start_training_needs_a_key_that_may_train(connected: Service) -> None:
    key = connected.client.post("/keys", json={"name": "labels", "role": "label"}).json()["key"]

    refused = connected.client.post("/label-studio/webhook", json=event("START_TRAINING"), headers=basic(key))

    check(refused, "forbidden", 403)


def test_start_training_without_annotations_says_what_is_missing(connected: Service) -> None:
    refused = connected.client.post("/label-studio/webhook", json=event("START_TRAINING"))

    check(refused, "dataset-not-found", 404)


def test_the_name_of_a_control_decides_which_choice_is_the_class(connected: Service, studio: Studio) -> None:
    quality = {"from_name": "quality", "to_name": "photo", "type": "choices", "value": {"choices": ["sharp"]}}
    said = annotation("Dog")
    said["result"].insert(0, quality)

    told(connected, event("ANNOTATION_CREATED", task=studio.task(1, photo(1)), annotation=said))

    assert labelled(connected) == {"dog": 1}
    assert "quality" not in CONFIGURATION
