"""Pictures and probabilities as tensors, for both inference protocols."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from math import prod
from reprlib import Repr
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from app.errors import InvalidInference, TooLarge, TooManyFiles
from app.serving.prediction import Picture, Prediction
from app.settings import Settings
from catdog import faults
from catdog.network.architecture import INPUT_PIXELS

MODEL = "catdog"  # its name in both protocols
PIXELS = (INPUT_PIXELS, INPUT_PIXELS, 3)  # height, width, RGB
IMAGE = "image"  # input: encoded pictures
RAW = "pixels"  # the other input: pixels as the network's input
JSON_VALUES = 2**20  # in one body: five raw pictures; parsing them blocks for 0.15 s and needs 30 MB
FAULTS = 3  # reported of one body

# A grey picture of one pixel in base64, so that an example in an error or in the OpenAPI document can be sent as is.
EXAMPLE_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
DATA_URL = re.compile("data:(?P<head>[^,]{0,200}),")
WEB_SAFE = str.maketrans("-_", "+/")

Model = TypeVar("Model", bound=BaseModel)


def parsed(model: type[Model], text: bytes) -> Model:
    """Parse JSON as `model`; InvalidInference if it doesn't fit, or has more than JSON_VALUES values."""
    if sum(map(text.count, (b",", b"[", b"{"))) > JSON_VALUES:
        raise InvalidInference(f"the JSON holds more than {JSON_VALUES:,} values; send encoded pictures or binary data")
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:FAULTS]
        raise InvalidInference(faults.in_one_line(found, whole="the body")) from error


@contextmanager
def shown(example: dict[str, Any]) -> Iterator[None]:
    """Add an example of a body to each InvalidInference raised inside."""
    try:
        yield
    except InvalidInference as error:
        raise InvalidInference(f"{error}; send JSON such as {json.dumps(example)}") from error


def check_count(count: int, settings: Settings) -> None:
    """Raise InvalidInference if a request has no picture, TooManyFiles if it has too many."""
    if count < 1:
        raise InvalidInference("there is no picture in the request")
    if count > settings.max_batch_files:
        raise TooManyFiles(settings.max_batch_files)


def encoded(pictures: Sequence[bytes], settings: Settings) -> list[Picture]:
    """Check the sizes of encoded pictures; InvalidInference if one is empty, TooLarge."""
    for place, picture in enumerate(pictures, 1):
        if not picture:
            raise InvalidInference(f"picture {place} of {len(pictures)} is empty")
        if len(picture) > settings.max_upload_bytes:
            raise TooLarge(settings.max_upload_bytes)
    return list(pictures)


def from_base64(text: object) -> bytes:
    """Decode base64; InvalidInference.

    Line breaks are ignored, because many encoders insert them. A data URL, the web-safe alphabet (`-_` for `+/`) and
    missing padding are accepted.
    """
    if not isinstance(text, str):
        raise InvalidInference(f"a picture is base64 in a string, not {short(text)}")
    digits = "".join(_of_data_url(text).split())
    if "+" not in digits and "/" not in digits:  # mixed alphabets are refused
        digits = digits.translate(WEB_SAFE)
    if "=" not in digits:
        digits += "=" * (-len(digits) % 4)
    try:
        return base64.b64decode(digits, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInference(f"{short(text)} is not base64 ({error})") from error


def _of_data_url(text: str) -> str:
    """The content of a data URL; other text is returned as it is."""
    if (found := DATA_URL.match(text)) is None:
        return text
    if not found["head"].endswith(";base64"):
        raise InvalidInference(f"{short(text)} is a data URL without base64; encode it as data:image/jpeg;base64,...")
    return text[found.end() :]


def from_bytes(data: bytes, count: int) -> list[Picture]:
    """`count` raw pictures in row-major order, without a copy; InvalidInference if there are more or fewer bytes."""
    if len(data) != count * prod(PIXELS):
        raise InvalidInference(
            f"{count} x {INPUT_PIXELS} x {INPUT_PIXELS} x 3 bytes are {count * prod(PIXELS):,}, not {len(data):,}"
        )
    return list(np.frombuffer(data, np.uint8).reshape(count, *PIXELS))


def from_numbers(data: list[Any], count: int) -> list[Picture]:
    """`count` raw pictures as integers, nested like their shape or flat; InvalidInference."""
    shape = (count, *PIXELS)
    numbers: list[Any] = [data]
    for size in shape if data and isinstance(data[0], list) else (prod(shape),):
        if wrong := [part for part in numbers if not isinstance(part, list) or len(part) != size]:
            found = f"a list of {len(wrong[0]):,}" if isinstance(wrong[0], list) else short(wrong[0])
            raise InvalidInference(f"raw pictures of shape {list(shape)} have {found} instead of a list of {size:,}")
        numbers = list(chain.from_iterable(numbers))
    try:
        return from_bytes(bytes(numbers), count)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInference(f"raw pixels must be integers from 0 to 255 ({error})") from error


def probabilities(predictions: Sequence[Prediction]) -> NDArray[np.float32]:
    """float32 (n, classes), in the order of the model's classes."""
    return np.array([list(each.probabilities.values()) for each in predictions], np.float32)


def short(value: object) -> str:
    """A value that a client sent, shortened for an error."""
    return _SHORT.repr(value)


_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxlist = 2, 4  # the defaults of 6 levels of 6 items may fill pages
