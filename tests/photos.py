"""Folders of pictures that a tiny network can learn to tell apart, and altered copies of pictures."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance


def draw(path: Path, kind: str, seed: int) -> None:
    """A noisy picture that is mostly red for a cat, green for a dog, blue for a fish."""
    noise = np.random.default_rng(seed).integers(0, 90, (24, 32, 3), np.uint8)
    noise[..., ("cat", "dog", "fish").index(kind)] += 160
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path)


def draw_splits(root: Path, train: int, validation: int, test: int) -> Path:
    """Draw this number of cats and of dogs into a folder per split below `root`; returns `root`."""
    for place, (split, photos) in enumerate((("train", train), ("validation", validation), ("test", test))):
        draw_set(root / split, photos, first=1000 * place)
    return root


def draw_set(root: Path, photos: int, kinds: tuple[str, ...] = ("cat", "dog"), first: int = 0) -> Path:
    """Draw `photos` pictures of each kind below `root`, in a folder per kind; returns `root`."""
    for place, kind in enumerate(kinds):
        for number in range(photos):
            draw(root / kind / f"{number}.png", kind, seed=first + 10_000 * place + number)
    return root


def large(picture: Path) -> Image.Image:
    """The picture enlarged, so that an alteration doesn't change single pixels."""
    with Image.open(picture) as image:
        return image.resize((320, 240), Image.Resampling.BICUBIC)


def halved(picture: Path, copy: Path) -> None:
    large(picture).resize((160, 120)).save(copy)


def compressed(picture: Path, copy: Path) -> None:
    large(picture).save(copy, "JPEG", quality=50)


def brightened(picture: Path, copy: Path) -> None:
    ImageEnhance.Brightness(large(picture)).enhance(1.1).save(copy)


def cropped(picture: Path, copy: Path) -> None:
    large(picture).crop((3, 2, 317, 238)).save(copy)
