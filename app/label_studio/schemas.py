"""What Label Studio sends to a machine learning backend, and what it expects.

The requests hold more fields than these, which are ignored; the names are those of Label Studio 1.23.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

CONFIGURATION = (
    '<View><Image name="image" value="$image"/><Choices name="animal" toName="image"><Choice value="cat"/>'
    '<Choice value="dog"/></Choices></View>'
)
TASK: JsonValue = {"id": 1, "data": {"image": "/data/upload/1/cat.jpg"}}
RESULT: JsonValue = [{"from_name": "animal", "to_name": "image", "type": "choices", "value": {"choices": ["cat"]}}]


class Setup(BaseModel, frozen=True):
    """The labelling configuration of a project."""

    model_config = ConfigDict(json_schema_extra={"example": {"project": "1.1700000000", "schema": CONFIGURATION}})

    configuration: str = Field(alias="schema", description="XML.")


class Task(BaseModel, frozen=True):
    """A picture to label."""

    id: int
    data: dict[str, Any] = Field(description="One field has the address of the picture.")


class PredictRequest(BaseModel, frozen=True):
    """Tasks to prelabel."""

    model_config = ConfigDict(json_schema_extra={"example": {"tasks": [TASK], "label_config": CONFIGURATION}})

    tasks: list[Task]
    label_config: str = Field(description="XML.")


class Annotation(BaseModel, frozen=True):
    """What a person said of a picture."""

    result: list[dict[str, Any]] = []
    was_cancelled: bool = Field(default=False, description="Whether the picture was skipped.")


class Project(BaseModel, frozen=True):
    """A project of Label Studio."""

    id: int
    label_config: str = Field(description="XML.")


class Event(BaseModel, frozen=True):
    """Something that happened in Label Studio; `task` and `annotation` are lists if it happened to several at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "action": "ANNOTATION_CREATED",
                "project": {"id": 1, "label_config": CONFIGURATION},
                "task": TASK,
                "annotation": {"result": RESULT, "was_cancelled": False},
            }
        }
    )

    action: str
    project: Project | None = None
    task: Task | list[Task] = []
    annotation: Annotation | list[Annotation] = []


class Health(BaseModel, frozen=True):
    """The answer to a health check."""

    status: Literal["UP"] = "UP"
    model_class: str = "catdog"


class ModelVersion(BaseModel, frozen=True):
    """The version in service, as text."""

    model_version: str


class Prelabel(BaseModel, frozen=True):
    """The class of one picture."""

    result: list[dict[str, Any]] = Field(description="In the form of an annotation; empty if no choice has this class.")
    score: float = Field(description="Calibrated probability of the class, 0-1.")
    model_version: str


class NotPrelabelled(BaseModel, frozen=True):
    """Why a picture has no prediction; without `result` Label Studio stores none, and asks again later."""

    error: str


class Prelabels(ModelVersion, frozen=True):
    """One item per task, in order."""

    results: list[Prelabel | NotPrelabelled]


class Taken(BaseModel, frozen=True):
    """What an event led to."""

    labels: int = Field(default=0, description="Number of pictures that were stored with their label.")
    failed: list[str] = Field(default=[], description="Why others were not, at most 10 reasons.")
    job: str | None = Field(default=None, description="Id of the training that was queued.")
