"""From the model store into memory: one version, warm and checked.

Importing this takes a moment, for it brings OpenVINO: `app.succession` does so on a thread, once the port is open.
"""

from io import BytesIO

import numpy as np
from PIL import Image

from app.predictor import Champion
from app.settings import Settings
from catdog import calibration, golden, images, weights
from catdog.architecture import Head
from catdog.engines import Arrays
from catdog.engines.openvino import OpenVINOEngine
from catdog.errors import BrokenVersion
from catdog.version import Version


def load(version: Version, settings: Settings, beside: Champion | None = None) -> Champion:
    """A version that has answered a photo, and the golden pictures as it did when it was published; else StoreError.

    Where its backbone is that of `beside`, which was loaded with the same settings, both run on one graph.
    """
    manifest, arrays = version.manifest, version.load()
    backbone = weights.backbone_fingerprint(manifest.architecture, arrays)
    engine = _on_the_graph_of(beside, manifest.head, backbone, arrays)
    if engine is None:
        engine = OpenVINOEngine(manifest.architecture, arrays, settings.precision, settings.threads)
    champion = Champion(manifest, engine, backbone)
    champion.predict(images.decode(_grey_photo()))
    _check_golden(champion)
    return champion


def _on_the_graph_of(beside: Champion | None, head: Head, backbone: str, arrays: Arrays) -> OpenVINOEngine | None:
    if beside is None or not isinstance(beside.engine, OpenVINOEngine):
        return None
    same = beside.backbone == backbone and beside.manifest.head == head == "pooled"
    return beside.engine.with_head(arrays) if same else None


def _check_golden(champion: Champion) -> None:
    """Raise BrokenVersion unless the golden answers come out, where the version has them."""
    manifest, engine = champion.manifest, champion.engine
    if manifest.golden is None:
        return
    # One by one: a request waits no longer for the graph than for a photo, and memory for one is enough.
    logits = np.concatenate([engine.infer(picture[np.newaxis]).logits for picture in golden.pictures()])
    try:
        golden.check(calibration.probabilities(logits, manifest.temperature), manifest.golden, engine.precision)
    except ValueError as error:
        raise BrokenVersion(manifest.version, str(error)) from error


def _grey_photo() -> bytes:
    photo = BytesIO()
    Image.new("RGB", (64, 64), "grey").save(photo, "JPEG")
    return photo.getvalue()
