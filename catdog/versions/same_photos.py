"""What a comparison of two versions on the same photos found."""

from pydantic import BaseModel, Field

from catdog.versions.measurements import Metrics


class DifferentAnswer(BaseModel, frozen=True):
    """What one version says of a photo."""

    label: str = Field(description="The most probable of its classes.")
    probability: float = Field(description="Its probability, 0-1.")


class DifferentPhoto(BaseModel, frozen=True):
    """A photo for which the two versions name different classes."""

    sha256: str
    name: str = Field(description="Name of the file.")
    label: str = Field(description="Its class in the data set.")
    answers: tuple[DifferentAnswer, DifferentAnswer]


class SamePhotos(BaseModel, frozen=True):
    """Two versions on the same photos, all of classes that both know; neither was trained on any of them."""

    classes: list[str] = Field(description="The classes of the photos.")
    photos: int = Field(description="Number of photos that count.")
    left_out: int = Field(description="Further photos, which don't count because a version was trained on them.")
    unreadable: int = Field(description="Further photos that can't be read.")
    doubtful: list[int] = Field(
        description="Versions that don't record all photos they were trained on: they may have been trained on some of"
        " these."
    )
    metrics: tuple[Metrics, Metrics] = Field(description="Those of each version, in the order of the request.")
    only_first: int = Field(description="Photos on which only the first version is right.")
    only_second: int = Field(description="Photos on which only the second version is right.")
    difference: float = Field(description="Accuracy of the first version minus that of the second, -1 to 1.")
    difference_low: float = Field(description="Lower end of the 95% interval of this paired difference (Tango).")
    difference_high: float = Field(description="Upper end of this interval.")
    chance: float = Field(
        description="p-value of McNemar's exact two-sided test: how likely so many differences are by chance."
    )
    different: int = Field(description="Photos for which the two name different classes.")
