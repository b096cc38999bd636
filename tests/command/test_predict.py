"""`catdog predict`: the answers of the service, without it or from it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.app.service import Service, serving
from tests.command.running import Catdog
from tests.places import SHIPPED_MODELS
from tests.waiting import until

CLOSE = 1e-6


@pytest.fixture(scope="module")
def service(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(models_dir, data_dir=tmp_path_factory.mktemp("data")) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Some photos of several formats and sizes."""
    chance = np.random.default_rng(5)
    paths = [tmp_path / f"{number}.{ending}" for number, ending in enumerate(("jpg", "png", "webp", "bmp"))]
    for number, path in enumerate(paths):
        noise = chance.integers(0, 256, (8 + number, 12, 3), np.uint8)
        Image.fromarray(noise).resize((300, 200 + 50 * number)).save(path)
    return paths


def asked(service: Service, path: Path) -> dict[str, Any]:
    answer: dict[str, Any] = service.client.post("/predict", content=path.read_bytes()).raise_for_status().json()
    return answer


def assert_same(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=CLOSE)
    for name in ("label", "unknown", "model_version"):
        assert answer[name] == expected[name]


def test_the_answers_are_those_of_the_service(catdog: Catdog, service: Service, photos: list[Path]) -> None:
    answers = list(map(json.loads, catdog.run("predict", "--json", *photos).stdout.splitlines()))

    assert [answer["path"] for answer in answers] == list(map(str, photos))
    for answer, path in zip(answers, photos, strict=True):
        assert_same(answer, asked(service, path))


@pytest.mark.data
def test_the_shipped_version_answers_as_in_the_service(tmp_path: Path, shared_data: Path) -> None:
    photos = sorted((shared_data / "originals").rglob("*.jpg"))[::4] + sorted((shared_data / "neither").iterdir())[:5]
    catdog = Catdog(tmp_path, SHIPPED_MODELS)
    shutil.copytree(SHIPPED_MODELS / "1", tmp_path / "models" / "1")

    answers = list(map(json.loads, catdog.run("predict", "--json", *photos).stdout.splitlines()))

    with serving(tmp_path / "models") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        expected = [asked(service, path) for path in photos]
    assert {answer["unknown"] for answer in answers} == {True, False}
    for answer, other in zip(answers, expected, strict=True):
        assert_same(answer, other)


def test_the_settings_of_the_service_count(catdog: Catdog, photos: list[Path]) -> None:
    (answer,) = map(json.loads, catdog.run("predict", "--json", photos[0], CATDOG_UNKNOWN_KEEP="1").stdout.splitlines())

    assert not answer["unknown"]
    assert "CATDOG_UNKNOWN_KEEP=2" in catdog.run("predict", photos[0], status=2, CATDOG_UNKNOWN_KEEP="2").stderr


def test_a_service_is_asked(catdog: Catdog, service: Service, photos: list[Path]) -> None:
    url = str(service.client.base_url)

    answers = list(map(json.loads, catdog.run("predict", "--url", url, "--json", *photos).stdout.splitlines()))

    for answer, path in zip(answers, photos, strict=True):
        assert_same(answer, asked(service, path))
        assert answer["prediction_id"]


@pytest.mark.parametrize("where", ["here", "service"])
def test_a_broken_file_is_named_and_the_others_are_answered(
    catdog: Catdog, service: Service, photos: list[Path], where: str
) -> None:
    broken = catdog.folder / "broken.jpg"
    broken.write_bytes(photos[0].read_bytes()[:300])
    url = ["--url", str(service.client.base_url)] if where == "service" else []

    done = catdog.run("predict", *url, broken, catdog.folder / "none.jpg", photos[1], status=1)

    assert done.stdout.startswith(f"{photos[1]}: ")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{broken}: the JPEG is broken ")
    assert second == f"{catdog.folder / 'none.jpg'}: No such file or directory"


def test_an_address_without_a_service_is_named(catdog: Catdog, photos: list[Path]) -> None:
    said = catdog.run("predict", "--url", "http://127.0.0.1:9", photos[0], status=1).stderr

    assert said.startswith("catdog: http://127.0.0.1:9 doesn't answer (")
    assert said.count("\n") == 1


def test_nothing_is_left_in_the_folder(catdog: Catdog, photos: list[Path]) -> None:
    catdog.run("predict", photos[0])

    assert {path.name for path in catdog.folder.iterdir()} == {*(path.name for path in photos), "cache"}


def test_a_store_without_a_version_says_so(catdog: Catdog, photos: list[Path]) -> None:
    said = catdog.run("--models", catdog.folder / "empty", "predict", photos[0], status=1).stderr

    assert said.startswith("catdog: no version is in service; ")
