"""The options of `python -m training train` and `compress`."""

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

from catdog.errors import RecipeError
from catdog.faults import shown
from catdog.network.architecture import BLOCKS, INPUT_PIXELS, Head
from training.fitting.config import Config, Strategy
from training.fitting.recipes import RECIPES, of_strategy

LARGEST_COUNT = 1_000_000  # epochs, photos per step, cores
LARGEST_SEED = 2**32 - 1  # limit of NumPy's legacy generator, which Keras seeds
LARGEST_VERSION = 10**18 - 1  # limit of a version's directory name
PROMOTE = ("auto", "shadow", "always", "never")


def add_to(parser: ArgumentParser) -> None:
    """Add the training options; the recipe or the strategy provides the defaults."""
    _add_photos_to(parser)
    parser.add_argument("--recipe", choices=sorted(RECIPES), help="a named configuration; other options override it")
    parser.add_argument(
        "--strategy",
        choices=("head", "finetune", "full"),
        help="head (default): fit a new head, in seconds; finetune: also train the last blocks; full: every layer",
    )
    parser.add_argument(
        "--backbone",
        metavar="NAME|FILE",
        help="auto (default; random for full): the champion's for the champion's classes, else ImageNet's VGG16;"
        " or champion, imagenet (59 MB, downloaded once), a version number, random, or an .h5 file",
    )
    parser.add_argument("--head", choices=get_args(Head), help="pooled (default), or classic: the VGG paper's")
    parser.add_argument(
        "--unfreeze",
        type=int,
        choices=range(1, len(BLOCKS) + 1),
        metavar="BLOCKS",
        help="number of last blocks that finetune trains (default 2)",
    )
    parser.add_argument("--width", type=_width, help="width of a random backbone or a file: 1.0 (default) is VGG16")
    _add_schedule_to(parser, "; finetune's default: about 500 steps")
    _add_publishing_to(parser)


def add_compression_to(parser: ArgumentParser) -> None:
    """Add the options for training a smaller network that answers like a version."""
    _add_photos_to(parser)
    parser.add_argument(
        "--teacher", dest="backbone", metavar="N", help="the version to answer like (default: champion)"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--width", type=_width, help="channels as a share of VGG16's, in every layer (default 0.25)")
    size.add_argument(
        "--target-macs",
        dest="multiply_adds",
        type=_width,
        metavar="SHARE",
        help="multiply-adds as a share of the version's, with more channels in the layers where they matter more",
    )
    _add_schedule_to(parser)
    _add_publishing_to(parser)
    parser.set_defaults(strategy="compress", recipe=None)


def _add_photos_to(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="photos: DIR/<class>/* or DIR/{train,validation[,test]}/<class>/*",
    )


def _add_schedule_to(parser: ArgumentParser, default: str = "") -> None:
    parser.add_argument(
        "--epochs",
        type=count,
        metavar="N",
        help=f"total number, divided among the stages in the recipe's proportions{default}",
    )
    parser.add_argument(
        "--patience", type=count, metavar="N", help="stop after N epochs without a better validation log-loss"
    )
    parser.add_argument("--batch-size", type=count, metavar="N", help="photos per step")
    parser.add_argument("--seed", type=_seed, metavar="N", help="random seed (default 0)")
    parser.add_argument("--resume", action="store_true", help="resume the same training where it was stopped")


def _add_publishing_to(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--promote",
        choices=PROMOTE,
        default="auto",
        help="auto (default): promote the version if enough test photos show that it is no worse than the champion;"
        " shadow: then run it next to the champion first, on the live photos of the service, which promotes it or not;"
        " always; or never: only publish it. Version 1 of a new store is always promoted",
    )
    parser.add_argument(
        "--no-quantize", dest="quantize", action="store_false", help="publish without an int8 graph; saves seconds"
    )
    add_neither_to(parser)
    parser.add_argument("--notes", default="", help="text to store in the manifest")


def add_neither_to(parser: ArgumentParser) -> None:
    """Add the option for photos that measure the out-of-distribution detector."""
    parser.add_argument(
        "--neither",
        type=Path,
        metavar="DIR",
        help="photos of none of the classes; measures how many are called unknown",
    )


def config_from(arguments: Namespace) -> Config:
    """The configuration that the options describe; RecipeError if they contradict each other."""
    base = _base(arguments.recipe, arguments.strategy)
    names = {field.name for field in fields(Config)}
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    config = replace(base, **{name: value for name, value in given.items() if name in names})
    has_fixed_width = config.strategy != "compress" and re.fullmatch(r"auto|champion|imagenet|\d+", config.backbone)
    if arguments.width is not None and has_fixed_width:
        raise RecipeError(
            f"--backbone {config.backbone} has a fixed width; omit --width, or use a random backbone or a file"
        )
    if config.strategy == "head":
        _refuse_what_a_head_ignores(given)
    if arguments.epochs is not None:
        config = config.with_epochs(arguments.epochs)
    if arguments.batch_size is not None:
        config = config.with_batch_size(arguments.batch_size)
    if config.head == "classic":  # its first layer has weights for every position of the picture
        config = replace(config, stages=tuple(replace(stage, pixels=INPUT_PIXELS) for stage in config.stages))
    return config


def _refuse_what_a_head_ignores(given: Mapping[str, object]) -> None:
    for name in ("epochs", "unfreeze", "batch_size", "patience"):
        if name in given:
            raise RecipeError(
                f"--{name.replace('_', '-')} applies only to the strategies finetune and full; omit it, or choose one"
                " of these with --strategy"
            )


def _base(recipe: str | None, strategy: Strategy | None) -> Config:
    return of_strategy(strategy or "head") if recipe is None else RECIPES[recipe]()


def count(text: str) -> int:
    """The type of an option that is a whole number from 1."""
    return _whole(text, 1, LARGEST_COUNT)


def version(text: str) -> int:
    """The type of an option that is a version number."""
    return _whole(text, 1, LARGEST_VERSION)


def version_or_archive(text: str) -> int | Path:
    """The type of an argument that is a version number, or the file of a version."""
    if text.isdecimal():
        return version(text)
    if (file := Path(text)).is_file():
        return file
    raise ArgumentTypeError(f"{shown(text)!r} is neither the number of a version nor a file")


def renamed(text: str) -> tuple[str, str]:
    """The type of an option that maps a folder name to a class."""
    folder, _, label = text.partition("=")
    if not folder or not label:
        raise ArgumentTypeError("expected FOLDER=CLASS with a class of the version, for example cats=cat")
    return folder, label


def _seed(text: str) -> int:
    return _whole(text, 0, LARGEST_SEED)


def _whole(text: str, least: int, most: int) -> int:
    if not re.fullmatch("[0-9]{1,18}", text) or not least <= int(text) <= most:
        raise ArgumentTypeError(f"{shown(text)!r} is not a whole number from {least} to {most:,}")
    return int(text)


def _width(text: str) -> float:
    with suppress(ValueError):
        if 0 < (width := float(text)) <= 1:
            return width
    raise ArgumentTypeError(f"{shown(text)!r} is not a number above 0, up to 1")
