"""Which split a photo is in: its content decides, so it stays where it is as the set grows."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

SPLITS: Final = ("train", "validation", "test")
SHARE: Final = 0.1  # of the photos, for validation and for test each
SEED: Final = 0


def by_content(photo: str, splits: Sequence[str] = SPLITS, seed: int = SEED, share: float = SHARE) -> str:
    """The split of the photo with this sha256: `share` for each but the first, which takes the rest."""
    draw = int.from_bytes(sha256(f"{seed} {photo}".encode()).digest()[:8]) / 2**64
    place = int(draw / share) + 1
    return splits[place] if place < len(splits) else splits[0]
