"""Keeps live photos for a candidate next to the champion, and compares the answers of both."""

from collections import deque
from dataclasses import dataclass
from functools import cached_property, partial
from time import perf_counter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.serving.batcher import Watch
from app.serving.loaded_model import LoadedModel
from app.serving.prediction import Prediction
from catdog import images
from catdog.engines.engine import Output
from catdog.network.head import ReplaceableHead
from catdog.versions.trial import Labelled, Other, Pair, Said, Seen

LIMIT: Final = 64  # photos that wait: 10 MB


class LivePhoto(NamedTuple):
    """An answered photo: uint8 RGB (224, 224, 3), the champion's output, and the id of the prediction."""

    pixels: NDArray[np.uint8]
    output: Output
    prediction_id: str


class ShadowQueue:
    """Live photos that wait for a candidate. Thread-safe: a full queue takes no more."""

    def __init__(self) -> None:
        self._champion: int | None = None
        self._photos: deque[LivePhoto] = deque()
        self.left_out = 0  # photos that found the queue full, since it opened

    def __len__(self) -> int:
        return len(self._photos)

    def open(self, champion: int) -> None:
        """Take the photos that this version answers from now on."""
        self.close()
        self._champion = champion

    def close(self) -> None:
        """Take no photos, and drop the waiting ones."""
        self._champion, self.left_out = None, 0
        self._photos.clear()

    def wants(self, version: int) -> bool:
        """Whether it takes photos that this version answers."""
        return version == self._champion

    def watcher(self, version: int, prediction_id: str) -> Watch:
        """What takes the photo of a prediction by this version."""
        return partial(self._take, version, prediction_id)

    def next(self) -> LivePhoto | None:
        return self._photos.popleft() if self._photos else None

    def _take(self, version: int, prediction_id: str, pixels: NDArray[np.uint8], output: Output) -> None:
        if version != self._champion:
            return
        if len(self._photos) >= LIMIT:
            self.left_out += 1
            return
        copied = Output(*(part.copy() for part in output))  # not views of the batch
        self._photos.append(LivePhoto(pixels, copied, prediction_id))


@dataclass(frozen=True)
class Comparison:
    """A candidate and the champion; `keep` is the share of the photos of their classes that stay known."""

    candidate: LoadedModel
    champion: LoadedModel
    keep: float

    @cached_property
    def head(self) -> ReplaceableHead | None:
        """The candidate's head if both share a graph: then the champion's features give its answer, in microseconds."""
        engine = self.candidate.engine
        shares = self.candidate.is_on_the_graph_of(self.champion)
        return engine if shares and isinstance(engine, ReplaceableHead) else None

    def seen(self, photo: LivePhoto, is_timed: bool) -> Seen:
        """Compare the answers to a photo. With `is_timed` both infer it, to measure how long they take."""
        seconds = None
        if self.head is not None:
            output = Output(self.head.logits(photo.output.features), photo.output.features)
        else:
            usual = self._timed(self.champion, photo.pixels)[1] if is_timed else None
            output, own = self._timed(self.candidate, photo.pixels)
            seconds = None if usual is None else Pair(own, usual)
        ours, theirs = self.candidate.answer(output, keep=self.keep), self.champion.answer(photo.output, keep=self.keep)
        agree = ours.label == theirs.label and not ours.unknown and not theirs.unknown
        disagreed = None
        if ours.unknown != theirs.unknown or (ours.label != theirs.label and not ours.unknown):
            other = Other(label=ours.label, probability=min(1.0, ours.probability), unknown=ours.unknown)
            disagreed = photo.prediction_id, other
        return Seen(agree, ours.unknown, theirs.unknown, seconds, disagreed)

    def labelled(self, said: Prediction, photo: bytes, label: str) -> Labelled | None:
        """Compare the champion's answer with the candidate's to a photo of this class; None if they don't know it."""
        if label not in self.candidate.manifest.classes or said.model_version != self.champion.manifest.version:
            return None
        output, _ = self._timed(self.candidate, images.decode(photo))
        return Labelled(candidate=_said(self.candidate.answer(output), label), champion=_said(said, label))

    @staticmethod
    def _timed(model: LoadedModel, pixels: NDArray[np.uint8]) -> tuple[Output, float]:
        """The output and the seconds that it took, on one stream: it leaves the other cores to requests."""
        began = perf_counter()
        output = model.engine.infer(pixels[np.newaxis], shared=True)
        return output, perf_counter() - began


def _said(answer: Prediction, label: str) -> Said:
    return Said(
        right=answer.label == label,
        probability=min(1.0, answer.probability),
        of_truth=min(1.0, answer.probabilities.get(label, 0.0)),
    )
