"""A labelled picture, before and after it is stored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

Source = Literal["upload", "archive", "import", "feedback"]


@dataclass(frozen=True)
class New:
    """A picture to be added: a file, what people call it, its class, and its split where somebody chose it."""

    file: Path
    name: str
    label: str
    split: str | None = None


@dataclass(frozen=True)
class Picture:
    """A picture under a label in a data set."""

    sha256: str
    name: str
    label: str
    split: str
    source: Source
    added_at: float


class Added(NamedTuple):
    """A picture that was to be added, and whether it is new there."""

    picture: Picture
    is_new: bool
