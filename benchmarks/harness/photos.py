"""The photos that benchmarks send."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness.processes import ROOT

SHARED_DATA = ROOT.parent / "shared" / "data"
ORIGINALS = SHARED_DATA / "originals"
GENERATED = 20
GENERATED_SIZE = (500, 375)  # width and height in pixels, common among the real ones
QUALITY = 90


def photos(folder: Path = ORIGINALS) -> list[bytes]:
    """JPEGs as they came from cameras, or else generated ones of much the same size."""
    return [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))] or list(map(generated, range(GENERATED)))


def described(folder: Path = ORIGINALS) -> str:
    return "real JPEGs" if any(folder.rglob("*.jpg")) else "generated JPEGs"


def generated(seed: int) -> bytes:
    """Coloured clouds."""
    noise = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).resize(GENERATED_SIZE, Image.Resampling.BICUBIC).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
