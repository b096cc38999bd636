"""The response schemas of predictions."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Picture = bytes | NDArray[np.uint8]  # encoded, or uint8 RGB (224, 224, 3), 0-255


class Prediction(BaseModel, frozen=True):
    """What is in one photo."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "label": "cat",
                "probability": 0.983,
                "probabilities": {"cat": 0.983, "dog": 0.017},
                "unknown": False,
                "familiarity": 1.04,
                "model_version": 1,
                "prediction_id": "187f3c5b8a1d2e4f0a1b2c3d4e5f6071",
            }
        }
    )

    label: str = Field(description="The most probable class.")
    probability: float = Field(ge=0, le=1, description="Calibrated probability of that class.")
    probabilities: dict[str, float] = Field(
        description="Calibrated probability of every class, in the order of the model's classes; they sum to 1."
    )
    unknown: bool = Field(
        default=False,
        description="Whether the photo is like none of the classes, so that its probabilities mean little; never where"
        " the version can't tell.",
    )
    familiarity: float | None = Field(
        default=None,
        ge=0,
        description="How much the photo is like those of the classes: 0 and up, 1 is usual. Below the threshold of `GET"
        " /model` it is unknown. Null where the version can't tell.",
    )
    model_version: int = Field(description="The version that answered.")
    prediction_id: str = Field(description="Of this answer: feedback names it.")


class Explanation(BaseModel, frozen=True):
    """Where in the photo the network sees the class that it says: the class activation map."""

    activation_map: list[list[float]] = Field(
        min_length=7,
        max_length=7,
        description="7 rows of 7 places, the first row at the top and the first place at the left of the upright photo:"
        " what each says for the class (above 0) or against it (below), without limit. Their mean and `bias` are"
        " together `logit`.",
    )
    bias: float = Field(description="What the class has without any photo, without limit.")
    logit: float = Field(description="Of the class, before calibration, without limit.")
    png: str | None = Field(
        description="A PNG in base64, 224 x 224 pixels, to be stretched over the photo: orange is for the class, blue"
        " against it, and the rest transparent. Null but for `explain=png`."
    )


class ExplainedPrediction(Prediction, frozen=True):
    """What is in one photo, and where."""

    explanation: Explanation
