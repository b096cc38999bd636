"""Answers as tensors of the Open Inference Protocol."""

import json

import numpy as np
import pytest

from app.protocols.open_inference import elements, write
from app.serving.prediction import Prediction
from tests.app.protocols.test_open_inference import IMAGE, asked


def prediction(cat: float, label: str = "cat") -> Prediction:
    return Prediction(
        label=label,
        probability=max(cat, 1 - cat),
        probabilities={"cat": cat, "dog": 1 - cat},
        model_version=3,
        prediction_id="7",
    )


def test_all_outputs_are_answered_as_the_request_wants_them() -> None:
    image = IMAGE | {"shape": [2], "data": ["b25l", "b25l"]}
    predictions = [prediction(0.75), prediction(0.25, "dog")]

    plain = write(asked(image, id="42"), predictions)
    binary = write(asked(image, parameters={"binary_data_output": True}), predictions)

    assert plain.binary == b""
    assert json.loads(plain.text) == {
        "model_name": "catdog",
        "model_version": "3",
        "id": "42",
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.75, 0.25, 0.25, 0.75]},
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["cat", "dog"]},
        ],
    }
    said = json.loads(binary.text)
    assert "id" not in said
    assert [output["parameters"]["binary_data_size"] for output in said["outputs"]] == [16, 14]
    assert np.frombuffer(binary.binary[:16], "<f4").tolist() == [0.75, 0.25, 0.25, 0.75]
    assert elements(binary.binary[16:], 2) == [b"cat", b"dog"]


def test_one_output_may_be_binary_and_the_other_not() -> None:
    outputs = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "probabilities"}]

    answer = write(
        asked(IMAGE | {"data": ["b25l"]}, outputs=outputs, parameters={"binary_data_output": True}), [prediction(0.75)]
    )

    label, probabilities = json.loads(answer.text)["outputs"]
    assert label == {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["cat"]}
    assert probabilities["parameters"] == {"binary_data_size": len(answer.binary)}


@pytest.mark.parametrize(("best", "count"), [(1, 1), (2, 2), (9, 2)])
def test_the_best_classes_are_written_as_triton_does(best: int, count: int) -> None:
    outputs = [{"name": "probabilities", "parameters": {"classification": best}}]

    answer = write(asked(IMAGE | {"data": ["b25l"]}, outputs=outputs), [prediction(0.25, "dog")])

    (output,) = json.loads(answer.text)["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [1, count])
    assert output["data"] == ["0.750000:1:dog", "0.250000:0:cat"][:count]
