from dataclasses import replace

import pytest

from training.fitting.config import LEAST_EPOCHS, MOST_EPOCHS, Config, Stage

BY_STEPS = Config(stages=(Stage(128, 1, 32), Stage(160, 1, 32)), steps=500)


@pytest.mark.parametrize(
    ("photos", "epochs"), [(1, MOST_EPOCHS), (200, MOST_EPOCHS), (750, 21), (2_000, 8), (20_000, LEAST_EPOCHS)]
)
def test_epochs_make_about_the_same_steps_of_any_number_of_photos(photos: int, epochs: int) -> None:
    suited = BY_STEPS.suited_to(photos)

    assert sum(stage.epochs for stage in suited.stages) == epochs
    assert [stage.pixels for stage in suited.stages] == [128, 160]


def test_twice_as_many_photos_a_step_take_twice_as_many_epochs() -> None:
    suited = BY_STEPS.with_batch_size(64).suited_to(2_000)

    assert sum(stage.epochs for stage in suited.stages) == 16


def test_epochs_that_were_asked_for_are_kept_for_any_number_of_photos() -> None:
    asked = BY_STEPS.with_epochs(4)

    assert asked.suited_to(20_000) == asked
    assert [stage.epochs for stage in asked.stages] == [2, 2]


def test_a_recipe_keeps_its_epochs() -> None:
    recipe = replace(BY_STEPS, steps=None)

    assert recipe.suited_to(20_000) == recipe
