"""Every command of docs/09-teach-it-something-else.md, on real photos of the five breeds named there."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from catdog.versions.store import Store
from tests.newcomer import Newcomer, blocks
from tests.places import ROOT

pytestmark = pytest.mark.whole

PAGE = ROOT / "docs" / "09-teach-it-something-else.md"
COMMANDS = [line for block in blocks(PAGE.read_text("utf-8")) for line in block.splitlines()]
PHOTOS = 16  # of each breed, to be fast
CHANCE = 0.2


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory, shared_data: Path, imagenet_weights: Path) -> Iterator[Newcomer]:
    newcomer = Newcomer(tmp_path_factory.mktemp("checkout"), CATDOG_IMAGENET_WEIGHTS=str(imagenet_weights))
    breeds = shared_data / "cat_breeds"
    for folder in (breeds / "train").iterdir():
        (newcomer.checkout / "breeds" / folder.name).mkdir(parents=True)
        for photo in sorted(folder.iterdir())[:PHOTOS]:
            shutil.copy(photo, newcomer.checkout / "breeds" / folder.name / photo.name)
    shutil.copy(min((breeds / "validation" / "Abyssinian").iterdir()), newcomer.checkout / "cat.jpg")
    yield newcomer
    newcomer.stop()


@pytest.mark.data
def test_every_command_of_the_page_works_in_its_order(newcomer: Newcomer) -> None:
    answers = []
    for command in COMMANDS:
        printed = newcomer.type(command)
        assert "urn:catdog:problem" not in printed, printed
        if command.endswith("/predict"):
            answers.append(json.loads(printed))

    (answer,) = answers
    assert answer["model_version"] == 2
    assert answer["label"] in answer["probabilities"]
    assert len(answer["probabilities"]) == 5
    assert Store(newcomer.checkout / "models").versions() == (1, 2, 3, 4)


@pytest.mark.data
def test_what_was_taught_is_better_than_chance_on_photos_it_has_not_seen(newcomer: Newcomer, shared_data: Path) -> None:
    photos = shared_data / "cat_breeds" / "validation"
    told = newcomer.type(f".venv/bin/python -m training evaluate --version 2 --data {photos} --json")

    assert json.loads(told)["accuracy"] > 1.5 * CHANCE
