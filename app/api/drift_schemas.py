"""Response schemas of drift."""

from pydantic import Field

from app.serving.prediction import Answer
from catdog.versions.manifest import Measure


class Shift(Answer):
    """How far one number has moved from what it was on the photos that validated the version."""

    measure: Measure = Field(
        description="`probability`: of the class that was said; `familiarity`: how much a photo is like those of the"
        " classes."
    )
    photos: int = Field(description="Answered within these hours.")
    psi: float | None = Field(
        ge=0,
        description="Population stability index: 0 where nothing has moved, up to 0.1 little, from 0.25 on much,"
        " without a limit. Null without a photo.",
    )
    by_chance: float | None = Field(
        ge=0,
        description="What the index stays below in 99 of 100 cases where nothing has moved: large where there are few"
        " photos. Null without a photo.",
    )
    drifted: bool = Field(description="Whether the index is above 0.25, and above what chance gives.")
    edges: tuple[float, ...] = Field(
        description="Where bins begin, ascending; the first bin is what lies below the first edge."
    )
    usual: tuple[float, ...] = Field(description="Share of the validation photos in each bin, 0-1.")
    recent: tuple[float, ...] = Field(description="Share of these photos in each bin, 0-1; all 0 without a photo.")


class Drift(Answer):
    """Whether the photos of late are like those that validated the version in service."""

    model_version: int
    hours: int = Field(description="How far back it looks; the oldest five minutes of it may be missing.")
    shifts: tuple[Shift, ...] = Field(
        description="One a number; none where the version was published without what it takes."
    )
