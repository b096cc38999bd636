"""Trainings with a name: `python -m training train --recipe NAME`. Each docstring says what to expect."""

from collections.abc import Callable

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


RECIPES: dict[str, Callable[[], Config]] = {"slim": slim}
