"""Label Studio asks for the classes of its pictures, in its own protocol."""

from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from catdog.access.roles import Role
from tests.app.label_studio.studio import CONFIGURATION, Studio, basic
from tests.app.service import ADMIN_KEY, Service, encoded
from tests.app.web.test_problem_details import check


def photo(shade: int) -> bytes:
    return encoded(Image.new("L", (16, 16), shade), "PNG")


def asked(*tasks: dict[str, Any], configuration: str = CONFIGURATION) -> dict[str, Any]:
    """A request as Label Studio sends it."""
    params = {"login": None, "password": None, "context": None}
    return {"tasks": tasks, "project": "1.1795939464", "label_config": configuration, "params": params}


def test_a_backend_is_up_and_names_the_version_in_service(connected: Service) -> None:
    setup = {"project": "1.1", "schema": CONFIGURATION, "hostname": "http://studio", "access_token": "x"}

    assert connected.client.get("/label-studio/health").json()["status"] == "UP"
    assert connected.client.post("/label-studio/setup", json=setup).json() == {"model_version": "1"}


def test_pictures_are_prelabelled_as_the_service_answers(connected: Service, studio: Studio) -> None:
    photos = [photo(0), photo(250)]
    tasks = [studio.task(number, each) for number, each in enumerate(photos)]

    said = connected.client.post("/label-studio/predict", json=asked(*tasks)).json()

    answers = [connected.client.post("/predict", content=each).json() for each in photos]
    assert said["model_version"] == "1"
    for result, answer in zip(said["results"], answers, strict=True):
        (chosen,) = result["result"]
        assert chosen["value"] == {"choices": [answer["label"].capitalize()]}
        assert (chosen["from_name"], chosen["to_name"], chosen["type"]) == ("animal", "photo", "choices")
        assert result["score"] == pytest.approx(answer["probability"], abs=1e-6)


def test_a_picture_that_fails_does_not_stop_the_others(connected: Service, studio: Studio) -> None:
    missing = {"id": 1, "data": {"image": "/data/upload/1/none.png"}}
    broken = studio.task(2, b"no picture")

    results = connected.client.post(
        "/label-studio/predict", json=asked(missing, broken, studio.task(3, photo(9)))
    ).json()["results"]

    assert [list(result) for result in results] == [["error"], ["error"], ["result", "score", "model_version"]]
    assert "Label Studio answered 404" in results[0]["error"]


def test_many_tasks_are_answered_in_order(connected: Service, studio: Studio) -> None:
    tasks = [studio.task(number, photo(5 * number)) for number in range(40)]
    tasks[17]["data"] = {}

    results = connected.client.post("/label-studio/predict", json=asked(*tasks)).json()["results"]

    assert [number for number, result in enumerate(results) if "error" in result] == [17]
    assert len(results) == len(tasks)


def test_a_choice_that_is_no_class_is_never_prelabelled(connected: Service, studio: Studio) -> None:
    birds = CONFIGURATION.replace("Cat", "Owl").replace("Dog", "Hawk")

    (result,) = connected.client.post(
        "/label-studio/predict", json=asked(studio.task(1, photo(1)), configuration=birds)
    ).json()["results"]

    assert result["result"] == []


@pytest.mark.parametrize(
    "configuration",
    ["", "<View>", "no XML", '<View><Text name="t" value="$t"/><Choices name="c" toName="t"/></View>', "<Choices/>"],
)
def test_a_project_without_classes_for_pictures_is_refused(connected: Service, configuration: str) -> None:
    refused = connected.client.post("/label-studio/setup", json={"project": "1.1", "schema": configuration})

    check(refused, "unsuitable-configuration", 422)
    assert "Choices whose toName is an Image" in refused.json()["detail"]


def test_a_service_without_a_label_studio_says_what_to_set(keeper: Service) -> None:
    refused = keeper.client.post("/label-studio/setup", json={"project": "1.1", "schema": CONFIGURATION})

    check(refused, "label-studio-missing", 404)
    assert "CATDOG_LABEL_STUDIO_URL" in refused.json()["detail"]


@pytest.mark.parametrize(("role", "status"), [(Role.PREDICT, 403), (Role.LABEL, 200)])
def test_the_password_of_the_backend_s_address_is_the_key(connected: Service, role: Role, status: int) -> None:
    key = connected.client.post("/keys", json={"name": f"studio-{role}", "role": role}).json()["key"]

    said = connected.client.post(
        "/label-studio/setup", json={"project": "1.1", "schema": CONFIGURATION}, headers=basic(key)
    )

    assert said.status_code == status


@pytest.mark.parametrize("change", [lambda key: key + "x", lambda key: "", str.upper])
def test_a_wrong_password_opens_nothing(connected: Service, change: Callable[[str], str]) -> None:
    for header in (basic(change(ADMIN_KEY)), {"Authorization": "Basic no-base64!"}):
        said = connected.client.post("/label-studio/setup", json={}, headers=header)
        check(said, "unauthorized", 401)
