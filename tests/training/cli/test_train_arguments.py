from argparse import ArgumentParser

import pytest

from catdog.errors import RecipeError
from training.cli import train_arguments
from training.fitting import recipes
from training.fitting.config import Config, Stage, share_out


def config(*arguments: str) -> Config:
    parser = ArgumentParser()
    train_arguments.add_to(parser)
    return train_arguments.config_from(parser.parse_args(["--data", "photos", *arguments]))


def compression(*arguments: str) -> Config:
    parser = ArgumentParser()
    train_arguments.add_compression_to(parser)
    return train_arguments.config_from(parser.parse_args(["--data", "photos", *arguments]))


def test_a_compression_has_a_quarter_of_the_width_unless_another_size_is_given() -> None:
    assert compression() == recipes.compress()
    assert (compression("--width", "0.5").width, compression("--width", "0.5").multiply_adds) == (0.5, None)
    assert compression("--teacher", "3", "--target-macs", "0.07").multiply_adds == 0.07
    assert compression("--teacher", "3").backbone == "3"


def test_a_compression_has_one_size(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        compression("--width", "0.5", "--target-macs", "0.07")

    assert "not allowed with argument" in capsys.readouterr().err


def test_without_options_a_head_is_fitted_on_the_backbone_that_suits_the_classes() -> None:
    assert config() == Config(strategy="head", backbone="auto", head="pooled")
    assert config("--strategy", "finetune").backbone == "auto"


def test_a_recipe_is_taken_as_it_is() -> None:
    assert config("--recipe", "slim") == recipes.slim()


def test_an_option_changes_the_recipe() -> None:
    changed = config("--recipe", "slim", "--seed", "7", "--width", "0.5")

    assert (changed.seed, changed.width) == (7, 0.5)
    assert changed.stages == recipes.slim().stages


def test_full_starts_from_random_weights_at_the_papers_width() -> None:
    full = config("--strategy", "full")

    assert (full.backbone, full.width) == ("random", 1.0)
    assert len(full.stages) > 1


def test_a_fine_tuning_makes_as_many_epochs_as_suit_the_photos_unless_told() -> None:
    assert config("--strategy", "finetune") == recipes.finetune()

    asked = config("--strategy", "finetune", "--epochs", "4")
    assert (asked.steps, sum(stage.epochs for stage in asked.stages)) == (None, 4)


@pytest.mark.parametrize(("epochs", "shares"), [(42, [18, 18, 6]), (21, [9, 9, 3]), (3, [1, 1, 1]), (1, [1])])
def test_epochs_are_shared_out_as_the_recipe_does(epochs: int, shares: list[int]) -> None:
    stages = (Stage(64, 18, 64), Stage(112, 18, 64), Stage(160, 6, 48))

    shared = share_out(epochs, stages)

    assert [stage.epochs for stage in shared] == shares
    assert shared[-1].pixels == 160


def test_the_batch_size_holds_for_every_stage() -> None:
    assert {stage.batch_size for stage in config("--recipe", "slim", "--batch-size", "16").stages} == {16}


def test_the_classic_head_is_trained_on_whole_pictures() -> None:
    assert {stage.pixels for stage in config("--strategy", "full", "--head", "classic").stages} == {224}


def test_an_int8_graph_is_made_unless_it_is_not_wanted() -> None:
    parser = ArgumentParser()
    train_arguments.add_to(parser)

    assert parser.parse_args(["--data", "photos"]).quantize
    assert not parser.parse_args(["--data", "photos", "--no-quantize"]).quantize


@pytest.mark.parametrize("backbone", ["auto", "champion", "imagenet", "1"])
def test_a_width_for_a_backbone_that_has_one_is_refused(backbone: str) -> None:
    with pytest.raises(RecipeError, match="omit --width"):
        config("--backbone", backbone, "--width", "0.5")


def test_every_recipe_names_its_backbone() -> None:
    assert {name: recipe().backbone for name, recipe in recipes.RECIPES.items()} == {
        "slim": "random",
        "wide": "random",
        "anneal": "champion",
        "transfer": "imagenet",
    }


@pytest.mark.parametrize("option", ["--epochs", "--batch-size", "--unfreeze", "--patience"])
def test_what_a_head_would_ignore_is_refused(option: str) -> None:
    with pytest.raises(RecipeError, match=f"^{option} applies only to the strategies finetune and full"):
        config(option, "3", "--strategy", "head")
    config(option, "3", "--strategy", "finetune")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--epochs", "0"],
        ["--batch-size", "-1"],
        ["--width", "2"],
        ["--unfreeze", "6"],
        ["--recipe", "no"],
        ["--promote", "x"],
    ],
)
def test_what_makes_no_sense_is_refused_by_the_parser(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        config(*arguments)
    assert arguments[0] in capsys.readouterr().err


def test_trainings_that_differ_have_different_fingerprints() -> None:
    assert config().fingerprint == config().fingerprint
    assert config().fingerprint != config("--seed", "1").fingerprint
