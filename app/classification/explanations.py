"""Draws where in a photo the network sees the class of its answer, into a folder."""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.serving.class_activation import heat_map
from app.serving.loaded_model import LoadedModel
from catdog.engines.engine import Output
from catdog.errors import CatdogError


class NotDrawable(CatdogError):
    """A version without class activation maps."""


def check(model: LoadedModel) -> None:
    """Raise NotDrawable if the version has no class activation maps."""
    if model.manifest.head != "pooled":
        raise NotDrawable(
            f"version {model.manifest.version} has the classic head, which has no class activation map; leave out"
            " --explain-to, or use a version with the pooled head"
        )


def explained(model: LoadedModel, pixels: NDArray[np.uint8], file: Path) -> Output:
    """The output for one photo, uint8 RGB (224, 224, 3); the photo with the map of its class is in the file then."""
    found = model.engine.explain(pixels[np.newaxis], shared=model.engine.streams > 1)
    place = int(found.output.logits[0].argmax())
    photo = Image.fromarray(pixels).convert("RGBA")
    photo.alpha_composite(Image.open(BytesIO(heat_map(found.maps[0][:, :, place]))))
    aside = file.with_name(f".{file.name}.new")
    photo.convert("RGB").save(aside, "PNG")
    aside.replace(file)
    return found.output
