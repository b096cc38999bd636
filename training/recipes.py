"""Trainings with a name: `python -m training train --recipe NAME`. Each docstring says what to expect."""

from collections.abc import Callable

from training.augmentation import Augmentation
from training.config import Config, Stage


def slim() -> Config:
    """The shipped model where there is no GPU: a quarter of VGG16's width, from random weights."""
    return Config(
        strategy="full",
        backbone="random",
        width=0.25,
        stages=(Stage(64, 18, 64), Stage(112, 18, 64), Stage(160, 6, 48)),
        learning_rate=2e-3,
        warmup_steps=300,
        weight_decay=0.05,
        label_smoothing=0.05,
        patience=None,
        validation_share=0.05,
    )


def anneal() -> Config:
    """The last epochs of the shipped model: larger pictures, changed less, from the version that `slim` gave."""
    return Config(
        strategy="full",
        width=0.25,
        stages=(Stage(160, 8, 48), Stage(192, 2, 48)),
        learning_rate=1e-3,
        warmup_steps=200,
        weight_decay=0.05,
        label_smoothing=0.05,
        patience=None,
        augmentation=Augmentation(
            area=(0.4, 1.0),
            aspect=(0.8, 1.25),
            contrast=(0.8, 1.2),
            brightness=(-30.0, 30.0),
            saturation=(0.6, 1.4),
            coarse_chance=0.05,
            erase_chance=0.0,
        ),
        validation_share=0.05,
    )


RECIPES: dict[str, Callable[[], Config]] = {"slim": slim, "anneal": anneal}
