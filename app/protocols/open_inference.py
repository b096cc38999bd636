"""Reads and writes bodies of the Open Inference Protocol, version 2, without HTTP.

Supports the extensions for binary data and classification, as Triton defines them: tensors may follow the JSON as
bytes, little-endian in row-major order, each element of BYTES preceded by its length in 4 bytes.
"""

import json
import re
import struct
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from app.errors import InvalidInference
from app.protocols import tensors
from app.protocols.tensors import IMAGE, RAW, short
from app.serving.prediction import Picture, Prediction
from app.settings import Settings

HEADER = "Inference-Header-Content-Length"  # bytes of JSON before the binary data
EXTENSIONS = ("binary_tensor_data", "classification", "model_repository")
LENGTH = struct.Struct("<I")  # before each element of BYTES
PROBABILITIES = "probabilities"
LABEL = "label"

Shape = list[int]  # -1 for a variable size
INPUTS: dict[str, tuple[str, Shape]] = {
    IMAGE: ("BYTES", [-1]),
    RAW: ("UINT8", [-1, *tensors.PIXELS]),
}  # one of them
OUTPUTS = (PROBABILITIES, LABEL)
EXAMPLE = {"inputs": [{"name": IMAGE, "datatype": "BYTES", "shape": [1], "data": [tensors.EXAMPLE_PICTURE]}]}

Parameters = dict[str, Any] | None
Name = Annotated[str, Field(max_length=255)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Input(_Part):
    name: Name
    shape: Annotated[Shape, Field(max_length=8)]
    datatype: Name
    parameters: Parameters = None
    data: Any = None


class _Output(_Part):
    name: Name
    parameters: Parameters = None


class _Request(_Part):
    id: str | None = None
    parameters: Parameters = None
    inputs: Annotated[list[_Input], Field(min_length=1, max_length=1)]
    outputs: Annotated[list[_Output], Field(max_length=len(OUTPUTS))] | None = None


class Wanted(NamedTuple):
    """One requested output."""

    name: str
    binary: bool
    best: int  # number of most probable classes, as text; 0 for the tensor itself


class Request(NamedTuple):
    """A parsed request."""

    id: str | None
    pictures: list[Picture]
    outputs: list[Wanted]


class Response(NamedTuple):
    """The JSON, and the binary data that follows it."""

    text: bytes
    binary: bytes


class _Tensor(NamedTuple):
    datatype: str
    shape: Shape
    values: list[Any]  # in row-major order


def read(body: bytes, text_bytes: str | None, settings: Settings) -> Request:
    """Parse a body whose JSON has `text_bytes`, None for all of it; InvalidInference, TooLarge, TooManyFiles."""
    with tensors.shown(EXAMPLE):
        text, binary = _parts(body, text_bytes)
        sent = tensors.parsed(_Request, text)
        return Request(sent.id, _pictures(sent.inputs[0], binary, settings), _wanted(sent))


def write(request: Request, predictions: Sequence[Prediction]) -> Response:
    """Write the answers to the request's pictures, all from one version, in the requested form."""
    outputs, binary = [], b""
    for wanted in request.outputs:
        tensor = _tensor(wanted, predictions)
        output: dict[str, Any] = {"name": wanted.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if wanted.binary:
            data = _in_binary(tensor)
            outputs.append({**output, "parameters": {"binary_data_size": len(data)}})
            binary += data
        else:
            outputs.append({**output, "data": tensor.values})
    named = {} if request.id is None else {"id": request.id}
    answer = {
        "model_name": tensors.MODEL,
        "model_version": str(predictions[0].model_version),
        **named,
        "outputs": outputs,
    }
    return Response(json.dumps(answer).encode(), binary)


def elements(data: bytes, count: int) -> list[bytes]:
    """Split `count` elements of BYTES, each preceded by its length; InvalidInference if there are more or fewer."""
    found, place = [], 0
    for number in range(1, count + 1):
        begin = place + LENGTH.size
        end = begin + LENGTH.unpack_from(data, place)[0] if begin <= len(data) else begin
        if end > len(data):
            raise InvalidInference(f"element {number} of {count} ends at byte {end:,} of {len(data):,}")
        found.append(data[begin:end])
        place = end
    if place != len(data):
        raise InvalidInference(f"{len(data) - place:,} bytes follow the last of {count} elements")
    return found


def _parts(body: bytes, text_bytes: str | None) -> tuple[bytes, bytes]:
    if text_bytes is None:
        return body, b""
    if not re.fullmatch("[0-9]{1,18}", text_bytes) or int(text_bytes) > len(body):
        raise InvalidInference(f"{HEADER} is {short(text_bytes)}, which doesn't fit a body of {len(body):,} bytes")
    return body[: int(text_bytes)], body[int(text_bytes) :]


def _pictures(sent: _Input, binary: bytes, settings: Settings) -> list[Picture]:
    datatype, shape = _expected(sent)
    if sent.datatype != datatype:
        raise InvalidInference(f"the input {sent.name} is {datatype}, not {short(sent.datatype)}")
    if len(sent.shape) != len(shape) or sent.shape[1:] != shape[1:]:
        raise InvalidInference(f"the input {sent.name} is of shape {shape}, not {short(sent.shape)}")
    count = sent.shape[0]
    tensors.check_count(count, settings)
    data = _data(sent, binary)
    if sent.name == RAW:
        return tensors.from_bytes(data, count) if isinstance(data, bytes) else tensors.from_numbers(data, count)
    if isinstance(data, bytes):
        return tensors.encoded(elements(data, count), settings)
    if len(data) != count:
        raise InvalidInference(f"the input {sent.name} of shape {sent.shape} has {len(data):,} elements")
    return tensors.encoded([tensors.from_base64(text) for text in data], settings)


def _expected(sent: _Input) -> tuple[str, Shape]:
    if sent.name not in INPUTS:
        there = " or ".join(f"{name} ({datatype} {shape})" for name, (datatype, shape) in INPUTS.items())
        raise InvalidInference(f"there is no input {short(sent.name)}; send {there}")
    return INPUTS[sent.name]


def _data(sent: _Input, binary: bytes) -> bytes | list[Any]:
    """Elements of the input: its `data`, or all the binary data, because there is only one input."""
    size = (sent.parameters or {}).get("binary_data_size")
    if size is None and not binary:
        if not isinstance(sent.data, list):
            raise InvalidInference(f"the input {sent.name} has no list `data`, and no `binary_data_size`")
        return sent.data
    if sent.data is not None:
        raise InvalidInference(f"the input {sent.name} has `data`, and binary data too; send one of them")
    if type(size) is not int or size != len(binary):
        raise InvalidInference(
            f"the input {sent.name} has the binary_data_size {short(size)}, but {len(binary):,} bytes follow the JSON,"
            f" whose length is in {HEADER}"
        )
    return binary


def _wanted(sent: _Request) -> list[Wanted]:
    in_binary = _flag(sent.parameters, "binary_data_output", False)
    outputs = sent.outputs or [_Output(name=name) for name in OUTPUTS]
    if len({output.name for output in outputs}) < len(outputs):
        raise InvalidInference(f"the output {outputs[0].name} is requested twice")
    return [
        Wanted(_known(output.name), _flag(output.parameters, "binary_data", in_binary), _best(output))
        for output in outputs
    ]


def _known(name: str) -> str:
    if name not in OUTPUTS:
        raise InvalidInference(f"there is no output {short(name)}; there are: {', '.join(OUTPUTS)}")
    return name


def _flag(parameters: Parameters, name: str, default: bool) -> bool:
    value = (parameters or {}).get(name, default)
    if not isinstance(value, bool):
        raise InvalidInference(f"the parameter {name} is true or false, not {short(value)}")
    return value


def _best(output: _Output) -> int:
    """The parameter of the classification extension."""
    best = (output.parameters or {}).get("classification", 0)
    if type(best) is not int or best < 0:
        raise InvalidInference(f"the parameter classification is a number of classes, not {short(best)}")
    if best and output.name != PROBABILITIES:
        raise InvalidInference(f"the parameter classification is for the output {PROBABILITIES}, not {output.name}")
    return best


def _tensor(wanted: Wanted, predictions: Sequence[Prediction]) -> _Tensor:
    if wanted.name == LABEL:
        return _Tensor("BYTES", [len(predictions)], [each.label for each in predictions])
    if wanted.best:
        lines = [_best_classes(each, wanted.best) for each in predictions]
        return _Tensor("BYTES", [len(lines), len(lines[0])], [text for line in lines for text in line])
    values = tensors.probabilities(predictions)
    return _Tensor("FP32", list(values.shape), values.ravel().tolist())


def _best_classes(prediction: Prediction, count: int) -> list[str]:
    """The most probable classes, in Triton's form: value, index, label."""
    classes = [(value, place, label) for place, (label, value) in enumerate(prediction.probabilities.items())]
    classes.sort(key=lambda each: -each[0])
    return [f"{value:f}:{place}:{label}" for value, place, label in classes[:count]]


def _in_binary(tensor: _Tensor) -> bytes:
    if tensor.datatype == "FP32":
        return np.array(tensor.values, "<f4").tobytes()
    texts = [text.encode() for text in tensor.values]
    return b"".join(LENGTH.pack(len(text)) + text for text in texts)
