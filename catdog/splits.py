"""Assigns photos to splits by content, so that they keep their split as a data set grows.

The only exception: if content puts no photo of a class into train, the photo that is closest to train is moved there.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

SPLITS: Final = ("train", "validation", "test")
SHARE: Final = 0.1  # of the photos, for each of validation and test
SEED: Final = 0


class Dealt(NamedTuple):
    """A photo to assign: the sha256 of its content, its class, and the split if a person chose one."""

    sha256: str
    label: Hashable
    chosen: str | None = None


def by_content(photo: str, splits: Sequence[str] = SPLITS, seed: int = SEED, share: float = SHARE) -> str:
    """The split of the photo with this sha256: `share` for each but the first, which gets the rest."""
    place = int(draw(photo, seed) / share) + 1
    return splits[place] if place < len(splits) else splits[0]


def draw(photo: str, seed: int = SEED) -> float:
    """A pseudorandom number in [0, 1) for the photo with this sha256; photos with high numbers are in train."""
    return int.from_bytes(sha256(f"{seed} {photo}".encode()).digest()[:8]) / 2**64


def deal(
    photos: Iterable[Dealt], splits: Sequence[str] = SPLITS, seed: int = SEED, share: float = SHARE
) -> dict[str, str]:
    """The split of each content, by its sha256; the order of the photos doesn't matter.

    A chosen split has priority over the content's. If a class has no photo in `splits[0]`, its photo with the highest
    draw, among those without a chosen split, is moved there. It returns to the split of its content when the class gets
    another training photo, unless the move was stored as chosen. No other photo ever moves.
    """
    chosen: dict[str, str] = {}
    by_class = defaultdict(set)
    for photo in photos:
        by_class[photo.label].add(photo.sha256)
        if photo.chosen:
            chosen[photo.sha256] = max(chosen.get(photo.sha256, splits[0]), photo.chosen, key=splits.index)
    dealt = {content: by_content(content, splits, seed, share) for its in by_class.values() for content in its} | chosen
    moved = [
        max(movable, key=lambda content: draw(content, seed))
        for its in by_class.values()
        if all(dealt[content] != splits[0] for content in its) and (movable := its - chosen.keys())
    ]
    return dealt | dict.fromkeys(moved, splits[0])


def spared(photos: Sequence[Dealt], seed: int = SEED) -> set[str]:
    """The sha256 of training photos to use for validation: a tenth, at least one, with the lowest draws.

    Every class keeps its photo with the highest draw, so the result may be empty.
    """
    by_draw = sorted(photos, key=lambda photo: draw(photo.sha256, seed))
    kept = set({photo.label: photo.sha256 for photo in by_draw}.values())
    others = dict.fromkeys(photo.sha256 for photo in by_draw if photo.sha256 not in kept)
    return set(list(others)[: max(1, len(photos) // 10)])
