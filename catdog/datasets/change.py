"""A change to many pictures, as it is stored."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["label", "split", "dataset", "delete"]


@dataclass(frozen=True)
class Change:
    """What was done to `pictures` pictures of a data set; `target` is the new class, split or data set."""

    id: int
    dataset: str
    kind: Kind
    target: str
    pictures: int
    made_at: float  # seconds since 1970
    undone_at: float | None
