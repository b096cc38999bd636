"""The photos that benchmarks send."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from benchmarks.harness.processes import ROOT

SHARED_DATA = ROOT.parent / "shared" / "data"
ORIGINALS = SHARED_DATA / "originals"
GENERATED = 20
GENERATED_SIZE = (500, 375)  # width and height in pixels, common for real photos
QUALITY = 90
PREDICT = "/predict"


def photos(folder: Path = ORIGINALS) -> list[bytes]:
    """Original JPEGs from cameras, or else generated ones of about the same size."""
    return [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))] or list(map(generated, range(GENERATED)))


def described(folder: Path = ORIGINALS) -> str:
    return "real JPEGs" if any(folder.rglob("*.jpg")) else "generated JPEGs"


def generated(seed: int) -> bytes:
    """Coloured clouds."""
    noise = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).resize(GENERATED_SIZE, Image.Resampling.BICUBIC).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


@dataclass(frozen=True)
class Upload:
    """A photo as a form with the field `file`, encoded once so that encoding isn't measured."""

    body: bytes
    headers: Mapping[str, str]

    @classmethod
    def of(cls, photo: bytes) -> Self:
        import httpx  # which only clients have

        form = httpx.Request("POST", "http://localhost", files={"file": ("photo.jpg", photo, "image/jpeg")})
        return cls(form.read(), {"Content-Type": form.headers["Content-Type"]})

    @property
    def request(self) -> bytes:
        """The bytes of the request for a prediction."""
        headers = {"Host": "127.0.0.1", **self.headers, "Content-Length": str(len(self.body))}
        lines = [f"POST {PREDICT} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body
