"""The champion in memory: what it answers, and what of it is in service."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from anyio import CapacityLimiter, to_thread
from numpy.typing import NDArray

from app.errors import NotReady, ServiceError
from app.kept_uploads import KeptUploads, new_id
from app.schemas import Prediction
from catdog import calibration, images
from catdog.engines import Engine
from catdog.manifest import Manifest

INFERENCES = 1  # at a time: one already runs on every thread of the engine
DECODERS = min(2, os.cpu_count() or 1)  # photos decoded at a time; 25 megapixels with alpha were seen to take 480 MB

KEEPERS = 2  # photos written for feedback at a time


@dataclass(frozen=True)
class Champion:
    """One version, loaded. It never changes, so an answer made with it is of one version throughout."""

    manifest: Manifest
    engine: Engine
    backbone: str  # fingerprint of its arrays

    def __str__(self) -> str:
        return f"version {self.manifest.version} ({', '.join(self.manifest.classes)}; {self.engine.precision})"

    def is_on_the_graph_of(self, other: "Champion") -> bool:
        """Whether both are heads on one backbone; those that are loaded beside each other then share its graph."""
        return self.backbone == other.backbone and self.manifest.head == other.manifest.head == "pooled"

    def predict(self, pixels: NDArray[np.uint8]) -> Prediction:
        """The answer for uint8 RGB (224, 224, 3), 0-255."""
        logits = self.engine.infer(pixels[np.newaxis]).logits
        (row,) = calibration.probabilities(logits, self.manifest.temperature).tolist()
        probabilities = dict(zip(self.manifest.classes, row, strict=True))
        label = max(probabilities, key=probabilities.__getitem__)
        return Prediction(
            label=label,
            probability=probabilities[label],
            probabilities=probabilities,
            model_version=self.manifest.version,
            prediction_id=new_id(),
        )


class Predictor:
    """Answers with the champion of the moment, on threads, so that the event loop stays free."""

    def __init__(self, uploads: KeptUploads) -> None:
        self._uploads = uploads
        self.serving: Champion | None = None
        self.problem: str | None = None  # why that isn't the store's champion
        self._decoding = CapacityLimiter(DECODERS)
        self._inference = CapacityLimiter(INFERENCES)
        self._keeping = CapacityLimiter(KEEPERS)

    @property
    def champion(self) -> Champion:
        """The version in service; raises NotReady where there is none."""
        if self.serving is None:
            raise NotReady(self.problem or "the model is being loaded")
        return self.serving

    def swap(self, champion: Champion) -> None:
        """Put a loaded, warm version into service; what already runs ends on the one before."""
        self.serving = champion

    async def predict(self, photo: bytes) -> Prediction:
        """The answer for an encoded photo; raises ImageError, NotReady."""
        return await self._predict(self.champion, photo)

    async def predict_each(self, photos: Sequence[bytes | ServiceError]) -> list[Prediction | Exception]:
        """Every photo's answer or what is wrong with it, in order, all of one version.

        Photos are inferred one by one: together they are no faster on a processor, and would hold
        all their activations at once. Few of a batch wait at any time, so that others get their turn.
        """
        champion = self.champion
        turns = asyncio.Semaphore(DECODERS)

        async def answer(photo: bytes | ServiceError) -> Prediction | Exception:
            async with turns:
                return await self._try(champion, photo)

        return await asyncio.gather(*map(answer, photos))

    async def _try(self, champion: Champion, photo: bytes | ServiceError) -> Prediction | Exception:
        if isinstance(photo, ServiceError):
            return photo
        try:
            return await self._predict(champion, photo)
        except Exception as error:
            return error

    async def _predict(self, champion: Champion, photo: bytes) -> Prediction:
        pixels = await to_thread.run_sync(images.decode, photo, limiter=self._decoding)
        prediction = await to_thread.run_sync(champion.predict, pixels, limiter=self._inference)
        await to_thread.run_sync(self._uploads.add, prediction, photo, limiter=self._keeping)
        return prediction
