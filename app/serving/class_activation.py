"""Class activation maps: which parts of a photo the answer is based on.

Zhou, Khosla, Lapedriza, Oliva & Torralba, "Learning Deep Features for Discriminative Localization" (2016).
"""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.serving.prediction import Explanation
from catdog.engines.engine import Engine, Explained, Output, Precision
from catdog.network.architecture import INPUT_PIXELS, Arrays

FOR, AGAINST = (255, 80, 0), (0, 90, 255)  # RGB of evidence for the class, and against it
OPACITY = 0.75  # of the strongest evidence


class ExplainingEngine:
    """An engine for one photo that keeps the class activation maps of its output."""

    largest_batch = 1

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._explained: Explained | None = None

    @property
    def precision(self) -> Precision:
        return self._engine.precision

    @property
    def streams(self) -> int:
        return self._engine.streams

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        self._explained = self.explain(pixels, shared)
        return self._explained.output

    def explain(self, pixels: NDArray[np.uint8], shared: bool = False) -> Explained:
        return self._engine.explain(pixels, shared)

    def with_head(self, arrays: Arrays) -> Engine:
        return self._engine.with_head(arrays)

    def explanation(self, place: int, classes: Sequence[str], drawn: bool) -> Explanation:
        """The explanation of the inferred photo, for the class at this index; with a picture if `drawn`."""
        assert self._explained is not None  # noqa: S101  # only called after `infer`
        maps, (logits,) = self._explained.maps[0], self._explained.output.logits
        activations = maps[:, :, place]
        second = max((each for each in range(len(classes)) if each != place), key=logits.__getitem__)
        return Explanation(
            activation_map=activations.tolist(),
            bias=float(self._explained.bias[place]),
            logit=float(logits[place]),
            against=classes[second],
            contrast=(activations - maps[:, :, second]).tolist(),
            png=b64encode(heat_map(activations)).decode() if drawn else None,
        )


def heat_map(activations: NDArray[np.float32]) -> bytes:
    """A PNG, RGBA (224, 224), to lay over the photo: orange is evidence for the class, blue against it.

    The stronger the evidence, the less transparent, up to OPACITY at the strongest place of the map (7, 7).
    """
    size = (INPUT_PIXELS, INPUT_PIXELS)
    smooth = np.asarray(Image.fromarray(activations).resize(size, Image.Resampling.BICUBIC))
    strength = np.clip(np.abs(smooth) / max(float(np.abs(activations).max()), 1e-9), 0, 1)
    pixels = np.where(smooth[..., np.newaxis] > 0, np.array(FOR, np.uint8), np.array(AGAINST, np.uint8))
    opacity = np.round(255 * OPACITY * strength).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(np.dstack([pixels, opacity])).save(file, "PNG")
    return file.getvalue()
