"""Named training configurations: `python -m training train --recipe NAME`.

The shipped model was made with `transfer`. `wide` starts from random weights, on a GPU; `slim`, then `anneal` make a
smaller model without ImageNet's weights. They were trained on the 23,000 photos of `../shared/data/pool` and tested on
the 1,000 of `../shared/data/cats_and_dogs/validation`:

    mkdir -p data/shipped
    for shard in ../shared/data/pool/*.zip; do unzip -qn "$shard" -d data/shipped/train; done
    ln -s ../../../shared/data/cats_and_dogs/validation data/shipped/test
"""

from collections.abc import Callable
from dataclasses import replace

from training.fitting.augmentation import Augmentation
from training.fitting.config import Config, Stage, Strategy
from training.fitting.wrong_labels import WRONG_LABELS

GENTLE = Augmentation(
    area=(0.4, 1.0),
    aspect=(0.8, 1.25),
    contrast=(0.8, 1.2),
    brightness=(-30.0, 30.0),
    saturation=(0.6, 1.4),
    coarse_chance=0.05,
    erase_chance=0.0,
)


def slim() -> Config:
    """A quarter of VGG16's width from random weights, without a GPU.

        python -m training --models data/first train --recipe slim --data data/shipped

    Accuracy on the test photos at 224 px: 97.1% (95%: 95.9% to 98.0%, n = 1,000, one run). 62 minutes on 2 cores of
    an Intel Xeon with AMX under other load.
    """
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


def wide() -> Config:
    """VGG16 at full width from random weights, on a GPU: larger pictures later, less augmentation in the last epochs.

        KERAS_BACKEND=jax python -m training train --recipe wide --data data/shipped

    Accuracy on the test photos at 224 px: 98.7% (95%: 97.8% to 99.2%, n = 1,000, one run). 7 minutes on an NVIDIA H100
    with 16 cores.
    """
    return Config(
        strategy="full",
        backbone="random",
        stages=(Stage(128, 24, 128), Stage(192, 24, 128), Stage(192, 8, 128, GENTLE)),
        learning_rate=1e-3,
        warmup_steps=500,
        weight_decay=0.05,
        label_smoothing=0.05,
        patience=None,
        validation_share=0.05,
    )


def transfer() -> Config:
    """ImageNet's VGG16 with its last three blocks trained on cats and dogs, without a GPU: the shipped model.

        python -m training train --recipe transfer --data data/shipped --neither ../shared/data/neither

    Accuracy on the test photos at 224 px: 99.4% (95%: 98.7% to 99.7%, n = 1,000, one run), in int8. 86 minutes on 2
    cores of an AMD EPYC (Zen 5) under other load. `--resume` continues after the last complete epoch; `--unfreeze 5`
    trains every block.
    """
    return Config(
        strategy="finetune",
        backbone="imagenet",
        unfreeze=3,
        stages=(Stage(128, 3, 32), Stage(192, 1, 32, GENTLE)),
        learning_rate=5e-5,
        warmup_steps=200,
        weight_decay=0.05,
        patience=None,
        validation_share=0.05,
        left_out=WRONG_LABELS,
    )


def anneal() -> Config:
    """The last epochs of a slim model: larger pictures and less augmentation, starting from the result of `slim`.

        python -m training train --recipe anneal --backbone data/first/1/model.weights.h5 --data data/shipped

    Accuracy on the test photos at 224 px: 98.0% (95%: 96.9% to 98.7%, n = 1,000, one run). 26 minutes on 2 cores of
    an Intel Xeon with AMX.
    """
    return Config(
        strategy="full",
        backbone="champion",
        width=0.25,
        stages=(Stage(160, 8, 48), Stage(192, 2, 48)),
        learning_rate=1e-3,
        warmup_steps=200,
        weight_decay=0.05,
        label_smoothing=0.05,
        patience=None,
        augmentation=GENTLE,
        validation_share=0.05,
    )


def finetune() -> Config:
    """The configuration of `--strategy finetune`: fits a head, then trains the last three blocks with it.

        python -m training train --strategy finetune --backbone imagenet --data photos

    With the 2,000 photos of `../shared/data/cats_and_dogs/train`: 98.5% of the test photos (95%: 97.5% to 99.1%, n =
    1,000, one run), where the head alone has 97.5%. 15 minutes on 2 cores of an AMD EPYC (Zen 5).
    """
    return Config(
        strategy="finetune",
        unfreeze=3,
        stages=(Stage(128, 6, 32), Stage(192, 3, 32, GENTLE)),
        steps=560,
        learning_rate=5e-5,
        weight_decay=0.05,
        averaged_steps=33,
        patience=None,
    )


def compress() -> Config:
    """The configuration of `--strategy compress`: a quarter of the width, taught by the champion, without a GPU.

        python -m training compress --data data/shipped --neither ../shared/data/neither

    Accuracy on the test photos at 224 px: 98.0% (95%: 96.9% to 98.7%, n = 1,000, one run), in int8, taught by the
    shipped model, which has 99.4%: `models/slim.zip`. About 2 hours on 2 cores of an AMD EPYC (Zen 5).
    """
    return Config(
        strategy="compress",
        backbone="champion",
        width=0.25,
        stages=(Stage(96, 20, 64), Stage(128, 20, 64), Stage(160, 12, 64), Stage(192, 4, 48)),
        augmentation=GENTLE,
        views=4,
        learning_rate=1e-3,
        warmup_steps=300,
        weight_decay=0.02,
        mixup=0.2,
        dropout=0.0,
        patience=None,
        validation_share=0.05,
    )


def of_strategy(strategy: Strategy) -> Config:
    """The configuration of a strategy without a recipe."""
    trainings: dict[Strategy, Callable[[], Config]] = {
        "head": Config,
        "finetune": finetune,
        "full": lambda: replace(slim(), width=1.0),
        "compress": compress,
    }
    return trainings[strategy]()


RECIPES: dict[str, Callable[[], Config]] = {"slim": slim, "anneal": anneal, "wide": wide, "transfer": transfer}
