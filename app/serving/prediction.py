"""The response schemas of predictions."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Picture = bytes | NDArray[np.uint8]  # encoded, or uint8 RGB (224, 224, 3), 0-255


class Prediction(BaseModel, frozen=True):
    """The answer for one photo."""

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
        description="Whether the photo is like none of the classes, so that its probabilities mean little; always"
        " false if the version has no detector.",
    )
    familiarity: float | None = Field(
        default=None,
        ge=0,
        description="How much the photo is like those of the classes: 0 and up, 1 is typical. Below the threshold in"
        " `GET /model` it is unknown. Null if the version has no detector.",
    )
    model_version: int = Field(description="The version that answered.")
    prediction_id: str = Field(description="Id of this answer, for feedback.")


class Explanation(BaseModel, frozen=True):
    """Class activation map: where in the photo the network sees the predicted class."""

    activation_map: list[list[float]] = Field(
        min_length=7,
        max_length=7,
        description="7 rows of 7 places, the first row at the top and the first place at the left of the upright photo:"
        " evidence for the class (above 0) or against it (below), without limit. Their mean plus `bias` is `logit`.",
    )
    bias: float = Field(description="Bias of the class, independent of the photo, without limit.")
    logit: float = Field(description="Logit of the class, before calibration, without limit.")
    against: str = Field(description="The second most probable class.")
    contrast: list[list[float]] = Field(
        min_length=7,
        max_length=7,
        description="The same places: evidence for the class (above 0) or for the second one (below), which is the"
        " difference of their maps. Evidence that both classes share cancels out.",
    )
    png: str | None = Field(
        description="A PNG in base64, 224 x 224 pixels, to stretch over the photo: orange is for the class, blue"
        " against it, the rest transparent. Null unless `explain=png`."
    )


class ExplainedPrediction(Prediction, frozen=True):
    """The answer for one photo, with its class activation map."""

    explanation: Explanation
