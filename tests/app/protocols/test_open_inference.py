"""Tensors of the Open Inference Protocol: valid and invalid bodies."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidInference, ServiceError, TooLarge, TooManyFiles
from app.protocols import open_inference
from app.protocols.open_inference import elements, read
from app.settings import Settings

SMALL = Settings.model_construct(max_upload_bytes=1000, max_batch_files=3)
PICTURE_BYTES = 224 * 224 * 3
IMAGE = {"name": "image", "datatype": "BYTES", "shape": [1]}
PIXELS = {"name": "pixels", "datatype": "UINT8", "shape": [1, 224, 224, 3]}


def in_binary(*pictures: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(picture)) + picture for picture in pictures)


def in_base64(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def body(tensor: dict[str, Any], binary: bytes | None = None, **more: Any) -> tuple[bytes, str | None]:
    """A request with this input, and the length of its JSON if binary data follows."""
    if binary is not None:
        tensor = {**tensor, "parameters": {"binary_data_size": len(binary)}}
    text = json.dumps({"inputs": [tensor], **more}).encode()
    return text + (binary or b""), None if binary is None else str(len(text))


def asked(tensor: dict[str, Any], binary: bytes | None = None, **more: Any) -> open_inference.Request:
    return read(*body(tensor, binary, **more), SMALL)


def raw(first: int) -> bytes:
    return bytes((first + place) % 256 for place in range(PICTURE_BYTES))


def test_encoded_pictures_come_in_binary_and_as_base64() -> None:
    two = IMAGE | {"shape": [2]}

    assert asked(two, in_binary(b"one", b"other")).pictures == [b"one", b"other"]
    assert asked(two | {"data": [in_base64(b"one"), in_base64(b"other")]}).pictures == [b"one", b"other"]
    assert asked(IMAGE | {"data": ["b25l\n"]}).pictures == [b"one"]


def test_raw_pictures_come_in_binary_and_as_numbers_flat_or_nested() -> None:
    two = PIXELS | {"shape": [2, 224, 224, 3]}
    expected = np.frombuffer(raw(0) + raw(9), np.uint8).reshape(2, 224, 224, 3)

    for request in (
        asked(two, raw(0) + raw(9)),
        asked(two | {"data": expected.ravel().tolist()}),
        asked(two | {"data": expected.tolist()}),
    ):
        assert [np.array_equal(picture, each) for picture, each in zip(request.pictures, expected, strict=True)]
        assert {picture.dtype for picture in request.pictures if isinstance(picture, np.ndarray)} == {np.dtype("uint8")}
        assert np.array_equal(np.stack([np.asarray(picture) for picture in request.pictures]), expected)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (IMAGE, "no list `data`"),
        (IMAGE | {"data": "b25l"}, "no list `data`"),
        (IMAGE | {"data": ["%"]}, "'%' is not base64"),
        (IMAGE | {"data": [7]}, "base64 in a string, not 7"),
        (IMAGE | {"data": [""]}, "picture 1 of 1 is empty"),
        (IMAGE | {"data": ["b25l", "b25l"]}, "of shape [1] has 2 elements"),
        (IMAGE | {"shape": [0], "data": []}, "no picture"),
        (IMAGE | {"shape": [-1], "data": []}, "no picture"),
        (IMAGE | {"shape": [1, 1], "data": ["b25l"]}, "of shape [-1], not [1, 1]"),
        (IMAGE | {"shape": [], "data": []}, "of shape [-1], not []"),
        (IMAGE | {"shape": [1.0], "data": []}, "inputs.0.shape.0"),
        (IMAGE | {"shape": [float("nan")], "data": []}, "inputs.0.shape.0"),
        (IMAGE | {"shape": [1] * 9, "data": []}, "inputs.0.shape"),
        (IMAGE | {"datatype": "FP32", "data": []}, "image is BYTES, not 'FP32'"),
        (IMAGE | {"name": "photo", "data": []}, "no input 'photo'; send image (BYTES [-1]) or pixels (UINT8"),
        (IMAGE | {"data": ["b25l"], "parameters": {"binary_data_size": 3}}, "has `data`, and binary data too"),
        (IMAGE | {"parameters": {"binary_data_size": 3}}, "binary_data_size 3, but 0 bytes follow"),
        (IMAGE | {"parameters": {"binary_data_size": -1}}, "binary_data_size -1, but 0 bytes follow"),
        (IMAGE | {"parameters": {"shared_memory_region": "x"}}, "no list `data`"),
        (PIXELS | {"shape": [1, 3, 224, 224], "data": []}, "[-1, 224, 224, 3], not [1, 3, 224, 224]"),
        (PIXELS | {"shape": [1, 224, 224, 2**63], "data": []}, "[-1, 224, 224, 3], not [1, 224, 224, 9"),
        (PIXELS | {"data": []}, "have a list of 0 instead of a list of 150,528"),
        (PIXELS | {"data": [0] * 5}, "have a list of 5 instead of a list of 150,528"),
        (PIXELS | {"data": [[[[0] * 3] * 224] * 223]}, "have a list of 223 instead of a list of 224"),
        (PIXELS | {"data": [[[[0] * 3] * 223 + [7]] * 224]}, "have 7 instead of a list of 3"),
        (PIXELS | {"data": [[[[0] * 3] * 224] * 223 + ["row"]]}, "have 'row' instead of a list of 224"),
        (PIXELS | {"data": [256] * PICTURE_BYTES}, "from 0 to 255"),
        (PIXELS | {"data": [-1] * PICTURE_BYTES}, "from 0 to 255"),
        (PIXELS | {"data": [0.5] * PICTURE_BYTES}, "from 0 to 255"),
        (PIXELS | {"data": [float("nan")] * PICTURE_BYTES}, "from 0 to 255"),
        (PIXELS | {"data": ["7"] * PICTURE_BYTES}, "from 0 to 255"),
        (PIXELS | {"data": [10**300] * PICTURE_BYTES}, "from 0 to 255"),
        (PIXELS | {"data": [None] * PICTURE_BYTES}, "from 0 to 255"),
    ],
)
def test_a_tensor_that_is_wrong_is_refused_with_what_is_wrong(tensor: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInference) as refused:
        asked(tensor)

    assert says in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    ("tensor", "binary", "says"),
    [
        (IMAGE, b"", "element 1 of 1 ends at byte 4 of 0"),
        (IMAGE, b"\1", "element 1 of 1 ends at byte 4 of 1"),
        (IMAGE, struct.pack("<I", 9) + b"short", "element 1 of 1 ends at byte 13 of 9"),
        (IMAGE, struct.pack("<I", 2**32 - 1), "element 1 of 1 ends at byte 4,294,967,299 of 4"),
        (IMAGE, in_binary(b"one", b"other"), "9 bytes follow the last of 1 elements"),
        (IMAGE, in_binary(b""), "picture 1 of 1 is empty"),
        (PIXELS, bytes(7), "1 x 224 x 224 x 3 bytes are 150,528, not 7"),
    ],
)
def test_binary_data_that_are_wrong_are_refused_with_what_is_wrong(
    tensor: dict[str, Any], binary: bytes, says: str
) -> None:
    with pytest.raises(InvalidInference) as refused:
        asked(tensor, binary)

    assert says in str(refused.value)


@pytest.mark.parametrize("length", ["-1", "+5", "5 ", "", "0x5", "1e3", "9" * 18, "9" * 5000, "²", "99999"])
def test_a_length_of_the_json_that_is_none_is_refused(length: str) -> None:
    text, _ = body(IMAGE | {"data": ["b25l"]})

    with pytest.raises(InvalidInference, match="Inference-Header-Content-Length is"):
        read(text, length, SMALL)


@pytest.mark.parametrize("size", [True, 3.0, "3", None, 2, 4, -3, 2**70, [3]])
def test_a_size_that_is_not_that_of_what_follows_is_refused(size: object) -> None:
    text = json.dumps({"inputs": [IMAGE | {"parameters": {"binary_data_size": size}}]}).encode()

    with pytest.raises(InvalidInference, match="but 3 bytes follow the JSON"):
        read(text + b"abc", str(len(text)), SMALL)


def test_inputs_that_share_binary_data_are_refused() -> None:
    tensor = IMAGE | {"parameters": {"binary_data_size": 3}}
    text = json.dumps({"inputs": [tensor, tensor]}).encode()

    with pytest.raises(InvalidInference, match=r"inputs: .* 1 item"):
        read(text + b"abc", str(len(text)), SMALL)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "the body: Invalid JSON"),
        (b"\xff\xfe", "the body: Invalid JSON"),
        (b"[]", "the body: Input should be an object"),
        (b"{}", "inputs: Field required"),
        (b'{"inputs": []}', "inputs: List should have at least 1 item"),
        (b'{"inputs": ' + b"[" * 100_000, "recursion limit"),
        (b'{"inputs": [], "id": ' + b"9" * 10_000 + b"}", "Invalid JSON"),
        (b'{"inputs": [' + b"{}," * 600_000 + b"{}]}", "more than 1,048,576 values"),
    ],
)
def test_json_that_is_no_request_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(InvalidInference) as refused:
        read(text, None, SMALL)

    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ([{"name": "logits"}], "no output 'logits'; there are: probabilities, label"),
        ([{"name": "label"}, {"name": "label"}], "label is requested twice"),
        ([{"name": "label"}] * 3, "outputs"),
        ([{"name": "label", "parameters": {"classification": 2}}], "for the output probabilities, not label"),
        ([{"name": "probabilities", "parameters": {"classification": -1}}], "a number of classes, not -1"),
        ([{"name": "probabilities", "parameters": {"classification": True}}], "a number of classes, not True"),
        ([{"name": "label", "parameters": {"binary_data": 1}}], "binary_data is true or false, not 1"),
    ],
)
def test_outputs_that_can_not_be_had_are_refused(outputs: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(InvalidInference, match=says):
        asked(IMAGE | {"data": ["b25l"]}, outputs=outputs)


def test_too_many_pictures_and_too_large_ones_are_refused() -> None:
    with pytest.raises(TooManyFiles):
        asked(IMAGE | {"shape": [4], "data": ["b25l"] * 4})
    with pytest.raises(TooManyFiles):
        asked(PIXELS | {"shape": [2**62, 224, 224, 3], "data": []})
    with pytest.raises(TooLarge):
        asked(IMAGE, in_binary(bytes(1001)))


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_elements_come_out_as_they_were_put_in(pictures: list[bytes]) -> None:
    assert elements(in_binary(*pictures), len(pictures)) == pictures


@given(st.binary(max_size=40), st.integers(0, 5))
def test_elements_are_all_of_the_bytes_or_refused(data: bytes, count: int) -> None:
    try:
        found = elements(data, count)
    except InvalidInference:
        return
    assert in_binary(*found) == data


SIZES = st.integers(-5, 60) | st.none() | st.booleans() | st.floats() | st.text(max_size=3)
LENGTHS = st.none() | st.integers(-5, 400).map(str) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["image", "pixels", "other"]),
        "datatype": st.sampled_from(["BYTES", "UINT8", "FP32"]),
        "shape": st.sampled_from([[1], [2], [1, 224, 224, 3]]) | st.lists(st.integers(), max_size=4) | VALUES,
    },
    optional={"data": VALUES, "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": SIZES}) | VALUES},
)


@settings(max_examples=300)
@given(TENSORS | VALUES, st.binary(max_size=60), LENGTHS)
def test_any_bytes_are_read_or_refused(tensor: Any, binary: bytes, length: str | None) -> None:
    text = json.dumps({"inputs": [tensor]}).encode()
    for given_length in (length, str(len(text))):
        try:
            pictures = read(text + binary, given_length, SMALL).pictures
        except ServiceError:
            continue
        assert 1 <= len(pictures) <= SMALL.max_batch_files


@given(st.binary(max_size=200), LENGTHS)
def test_bytes_without_any_form_are_refused(body: bytes, length: str | None) -> None:
    with pytest.raises(ServiceError):
        read(body, length, SMALL)


@pytest.mark.parametrize("nested", [True, False])
def test_five_raw_pictures_are_read_as_numbers(nested: bool) -> None:
    pixels = np.full((5, 224, 224, 3), 200)
    tensor = PIXELS | {"shape": [5, 224, 224, 3], "data": pixels.tolist() if nested else pixels.ravel().tolist()}

    assert len(read(*body(tensor), Settings.model_construct()).pictures) == 5
