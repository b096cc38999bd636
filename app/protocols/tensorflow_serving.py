"""Reads and writes bodies of TensorFlow Serving's REST API, without HTTP.

Its row form has an object for each picture, its column form a list for each tensor; an encoded picture is
`{"b64": "..."}` in both.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from app.errors import InvalidInference
from app.protocols import tensors
from app.protocols.tensors import IMAGE, RAW, short
from app.serving.prediction import Picture, Prediction
from app.settings import Settings

DEFAULT = "serving_default"
CLASSIFY = "classify"
INPUTS = {DEFAULT: IMAGE, RAW: RAW}  # the input of each predict signature
B64 = "b64"
EXAMPLE_PREDICT = {"instances": [{B64: tensors.EXAMPLE_PICTURE}]}
EXAMPLE_CLASSIFY = {"examples": [{IMAGE: {B64: tensors.EXAMPLE_PICTURE}}]}


class _Sent(BaseModel):
    model_config = ConfigDict(strict=True)

    signature_name: str | None = None


class _Predict(_Sent):
    instances: Any = None
    inputs: Any = None


class _Classify(_Sent):
    examples: list[Any]


class Request(NamedTuple):
    """A parsed request, in the row form or in the column form."""

    pictures: list[Picture]
    in_rows: bool


def read_predict(body: bytes, settings: Settings) -> Request:
    """Parse a body of `:predict`; InvalidInference, TooLarge, TooManyFiles."""
    with tensors.shown(EXAMPLE_PREDICT):
        return _predict(tensors.parsed(_Predict, body), settings)


def _predict(sent: _Predict, settings: Settings) -> Request:
    if (sent.instances is None) is (sent.inputs is None):
        raise InvalidInference("send either `instances` or `inputs`")
    name = INPUTS[_signature(sent, tuple(INPUTS))]
    if sent.instances is None:
        return Request(_pictures(_column(sent.inputs, name), name, settings), in_rows=False)
    if not isinstance(sent.instances, list):
        raise InvalidInference(f"instances is a list, not {short(sent.instances)}")
    return Request(_pictures([_row(each, name) for each in sent.instances], name, settings), in_rows=True)


def read_classify(body: bytes, settings: Settings) -> list[Picture]:
    """Parse a body of `:classify`; InvalidInference, TooLarge, TooManyFiles."""
    with tensors.shown(EXAMPLE_CLASSIFY):
        sent = tensors.parsed(_Classify, body)
        _signature(sent, (DEFAULT, CLASSIFY))
        return _pictures([_member(each, IMAGE) for each in sent.examples], IMAGE, settings)


def write_predict(request: Request, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Both outputs, in the form of the request."""
    values, labels = [list(each.probabilities.values()) for each in predictions], [each.label for each in predictions]
    if request.in_rows:
        rows = zip(values, labels, strict=True)
        return {"predictions": [{"probabilities": value, "label": label} for value, label in rows]}
    return {"outputs": {"probabilities": values, "label": labels}}


def write_classify(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Pairs of label and probability for each picture, in the order of the model's classes."""
    return {"results": [[*each.probabilities.items()] for each in predictions]}


def signatures(classes: int) -> dict[str, Any]:
    """Metadata of the signatures of a model with `classes` classes."""
    image, raw = _tensor("DT_STRING", -1), _tensor("DT_UINT8", -1, *tensors.PIXELS)
    outputs = {"probabilities": _tensor("DT_FLOAT", -1, classes), "label": _tensor("DT_STRING", -1)}
    ranked = {"scores": _tensor("DT_FLOAT", -1, classes), "classes": _tensor("DT_STRING", -1, classes)}
    return {
        DEFAULT: _signature_of({IMAGE: image}, outputs, "predict"),
        RAW: _signature_of({RAW: raw}, outputs, "predict"),
        CLASSIFY: _signature_of({IMAGE: image}, ranked, "classify"),
    }


def _signature_of(inputs: dict[str, Any], outputs: dict[str, Any], method: str) -> dict[str, Any]:
    return {"inputs": inputs, "outputs": outputs, "method_name": f"tensorflow/serving/{method}"}


def _tensor(dtype: str, *shape: int) -> dict[str, Any]:
    """Sizes are strings, because JSON has no 64-bit integers."""
    dims = [{"size": str(size), "name": ""} for size in shape]
    return {"dtype": dtype, "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": ""}


def _signature(sent: _Sent, known: tuple[str, ...]) -> str:
    name = sent.signature_name or DEFAULT
    if name not in known:
        raise InvalidInference(f"there is no signature {short(name)} for this; there are: {', '.join(known)}")
    return name


def _row(value: object, name: str) -> object:
    """The value of one picture, which may be given alone or under the input's name."""
    return _member(value, name) if isinstance(value, dict) and value.keys() != {B64} else value


def _column(value: object, name: str) -> list[Any]:
    """The values of all pictures, which may be given alone or under the input's name."""
    values = _row(value, name)
    if not isinstance(values, list):
        raise InvalidInference(f"inputs is a list, or an object with a list {name}, not {short(values)}")
    return values


def _member(value: object, name: str) -> object:
    if isinstance(value, dict) and value.keys() == {name}:
        return value[name]
    pixels = f'; for numbers from 0 to 255 add "signature_name": "{RAW}"' if isinstance(value, list) else ""
    raise InvalidInference(f"{short(value)} is not an object with {name} alone{pixels}")


def _pictures(values: list[Any], name: str, settings: Settings) -> list[Picture]:
    tensors.check_count(len(values), settings)
    if name == RAW:
        return tensors.from_numbers(values, len(values))
    return tensors.encoded([tensors.from_base64(_member(value, B64)) for value in values], settings)
