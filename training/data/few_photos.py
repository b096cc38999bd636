"""Warns when a version was trained on few photos."""

from collections.abc import Iterator, Mapping
from typing import Final

LEAST_TRAINED: Final = 20  # photos of a class, below which a version knows little of it
LEAST_HELD_OUT: Final = 10  # photos of a class; all 10 right still leaves a 95% interval (Wilson) from 72%


def caution(photos: Mapping[str, Mapping[str, int]]) -> str | None:
    """A sentence, by photos per split and class as a manifest has them; None where there are enough."""
    if not (parts := list(_parts(photos))):
        return None
    return f"few photos: {'; '.join(parts)}"


def _parts(photos: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    train = photos["train"]
    fewest = min(train, key=lambda name: train[name])
    if train[fewest] < LEAST_TRAINED:
        small = sum(number < LEAST_TRAINED for number in train.values())
        yield (
            f"{small:,} of {len(train):,} classes have fewer than {LEAST_TRAINED} to train on ({fewest} has"
            f" {train[fewest]}), so expect mistakes on photos unlike these"
        )
    if not any(photos.get("validation", {}).values()):
        crossed = (
            "nor by cross-validation, as a class has one photo" if train[fewest] < 2 else "but by cross-validation"
        )
        yield f"none to validate with, so how good it is was not measured on photos kept from training, {crossed}"
    if not any(photos.get("test", {}).values()):
        yield f"none to test with, so none to compare versions on; some {LEAST_HELD_OUT} of each class in test would do"
