"""Response schemas of the inference protocols, with the names that their specifications give."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from app.protocols.tensors import MODEL


class Health(BaseModel, frozen=True):
    """Both states, because clients look for either."""

    live: Literal[True] = True
    ready: bool


class ServerMetadata(BaseModel, frozen=True):
    """This server, and the protocol extensions that it supports."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel, frozen=True):
    """A tensor; -1 in its shape is a variable size."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel, frozen=True):
    """The model; a request has one of its inputs."""

    name: str = MODEL
    versions: list[str] = Field(description="Loaded versions.")
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(BaseModel, frozen=True):
    """The version is loaded and has answered once."""

    name: str = MODEL
    ready: Literal[True] = True


class OutputTensor(BaseModel, frozen=True):
    """An output in row-major order."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] | None = Field(
        default=None, description="`binary_data_size`, if its data follows the JSON."
    )
    data: list[float] | list[str] | None = None


class InferenceResponse(BaseModel, frozen=True):
    """The answers to all pictures."""

    model_name: str = MODEL
    model_version: str
    id: str | None = Field(default=None, description="Id of the request, if it had one.")
    outputs: list[OutputTensor]


class IndexEntry(BaseModel, frozen=True):
    """A version in the store."""

    name: str = MODEL
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str = Field(description="Why it is not ready.")


class StatusOK(BaseModel, frozen=True):
    """Nothing is wrong."""

    error_code: Literal["OK"] = "OK"
    error_message: Literal[""] = ""


class VersionStatus(BaseModel, frozen=True):
    """A version that is loaded."""

    version: str
    state: Literal["AVAILABLE"] = "AVAILABLE"
    status: StatusOK = StatusOK()


class ModelStatus(BaseModel, frozen=True):
    """The loaded versions; `name` and `ready` are from KServe's first protocol."""

    name: str = MODEL
    ready: Literal[True] = True
    model_version_status: list[VersionStatus]


class ModelSpec(BaseModel, frozen=True):
    """The version that the metadata describes."""

    name: str = MODEL
    signature_name: str = ""
    version: str


class SignatureMetadata(BaseModel, frozen=True):
    """The signatures of one version."""

    model_spec: ModelSpec
    metadata: dict[str, Any]
