"""Response schemas of the inference protocols, with the names that their specifications give."""

from typing import Any, Literal

from pydantic import Field

from app.protocols.tensors import MODEL
from app.serving.prediction import Answer


class InferenceError(Answer):
    """What went wrong, as both protocols write it."""

    error: str


class Health(Answer):
    """Both at once, because clients look for either."""

    live: Literal[True] = True
    ready: bool


class ServerMetadata(Answer):
    """This server, and the extensions of the protocol that it has."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(Answer):
    """A tensor; -1 in its shape varies."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Answer):
    """The model: one of its inputs is to be sent."""

    name: str = MODEL
    versions: list[str] = Field(description="Those that are loaded, so that they can be asked.")
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(Answer):
    """The version is loaded and has answered once."""

    name: str = MODEL
    ready: Literal[True] = True


class OutputTensor(Answer):
    """An output, row by row."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] | None = Field(
        default=None, description="`binary_data_size`, where its data follow the JSON."
    )
    data: list[float] | list[str] | None = None


class InferenceResponse(Answer):
    """The answers to all pictures."""

    model_name: str = MODEL
    model_version: str
    id: str | None = Field(default=None, description="That of the request, where it had one.")
    outputs: list[OutputTensor]


class IndexEntry(Answer):
    """A version in the store."""

    name: str = MODEL
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str = Field(description="Why it is not ready.")


class StatusOK(Answer):
    """Nothing is wrong."""

    error_code: Literal["OK"] = "OK"
    error_message: Literal[""] = ""


class VersionStatus(Answer):
    """A version that is loaded."""

    version: str
    state: Literal["AVAILABLE"] = "AVAILABLE"
    status: StatusOK = StatusOK()


class ModelStatus(Answer):
    """The versions that are loaded; `name` and `ready` are what KServe's first protocol says."""

    name: str = MODEL
    ready: Literal[True] = True
    model_version_status: list[VersionStatus]


class ModelSpec(Answer):
    """Which version this is of."""

    name: str = MODEL
    signature_name: str = ""
    version: str


class SignatureMetadata(Answer):
    """The signatures of one version."""

    model_spec: ModelSpec
    metadata: dict[str, Any]
