"""Request and response schemas of the pictures in data sets and the changes to them."""

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.api.dataset_schemas import StoredPicture
from catdog.datasets.picture_files import Change, Kind
from catdog.names import LIMIT_CHARACTERS, LIMIT_DATASET_CHARACTERS

LARGEST_ID = 2**31 - 1
MOST_CHANGED = 200_000  # pictures named in one request


class Opinion(BaseModel, frozen=True):
    """What the version in service says of a picture."""

    label: str
    probability: float
    unknown: bool = Field(description="Whether it looks like none of the version's classes.")


class ListedPicture(StoredPicture, frozen=True):
    """A picture of a data set with its number."""

    id: int = Field(description="Its number, by which changes name it. It stays when the picture is changed.")
    opinion: Opinion | None = Field(
        default=None, description="With `opinions`, if the model has looked at the picture."
    )


class PictureList(BaseModel, frozen=True):
    """A page of the pictures of a data set."""

    pictures: list[ListedPicture]
    next: int | None = Field(description="Send it as `after` to get the next page; null on the last one.")


class PictureIds(BaseModel, frozen=True):
    """The numbers of all these pictures."""

    ids: list[int]


class Looked(BaseModel, frozen=True):
    """Progress of the version in service in looking at a data set."""

    pictures: int = Field(description="Pictures that this request looked at.")
    judged: int = Field(description="Pictures of known features, such as after a training, that this request judged.")
    left: int = Field(description="Pictures that it hasn't looked at or judged yet; repeat the request.")
    unreadable: int = Field(description="Pictures that can't be read.")


class ChangeRequest(BaseModel):
    """What to do with some pictures: give them another class, split or data set, or delete them."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"ids": [17, 18], "label": "dog"}})

    ids: list[int] = Field(max_length=MOST_CHANGED, description="Numbers of the pictures, from the list of pictures.")
    label: str | None = Field(default=None, max_length=4 * LIMIT_CHARACTERS, description="Their class from now on.")
    split: Literal["train", "validation", "test"] | None = Field(default=None, description="Their split from now on.")
    dataset: str | None = Field(
        default=None, max_length=LIMIT_DATASET_CHARACTERS, description="The data set that they move to."
    )
    delete: Literal[True] | None = Field(default=None, description="Delete them.")

    @model_validator(mode="after")
    def _is_one_change(self) -> Self:
        if len(self._given()) != 1:
            raise ValueError("send exactly one of label, split, dataset and delete")
        return self

    def _given(self) -> list[tuple[Kind, str]]:
        values: dict[Kind, str | Literal[True] | None] = {
            "label": self.label,
            "split": self.split,
            "dataset": self.dataset,
            "delete": self.delete,
        }
        return [(kind, "" if value is True else value) for kind, value in values.items() if value is not None]

    @property
    def kind(self) -> Kind:
        return self._given()[0][0]

    @property
    def target(self) -> str:
        """The new class, split or data set, empty if the pictures are deleted."""
        return self._given()[0][1]


class MadeChange(BaseModel, frozen=True):
    """A change to pictures of a data set."""

    id: int = Field(description="`POST /changes/{id}/undo` undoes it.")
    dataset: str
    kind: Kind = Field(description="`label`, `split`, `dataset` or `delete`.")
    target: str = Field(description="The new class, split or data set; empty if the pictures were deleted.")
    pictures: int = Field(description="Number of pictures that it changed.")
    made_at: datetime
    undone: bool

    @classmethod
    def of(cls, change: Change) -> Self:
        moment = datetime.fromtimestamp(change.made_at, UTC)
        return cls(**vars(change) | {"made_at": moment, "undone": change.undone_at is not None})


class MadeChanges(BaseModel, frozen=True):
    """The changes that can be undone, the newest first."""

    changes: list[MadeChange]


class NewDataset(BaseModel):
    """A data set to create."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "pets"}})

    name: str = Field(max_length=LIMIT_DATASET_CHARACTERS, description="a-z, 0-9, _ and -.")


class Renaming(BaseModel):
    """The new name of a data set, or the one that it is merged into."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "animals"}})

    name: str = Field(max_length=LIMIT_DATASET_CHARACTERS, description="a-z, 0-9, _ and -.")
    merge: bool = Field(default=False, description="Add the pictures to the data set of that name, if there is one.")
