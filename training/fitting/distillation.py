"""Trains a small network, the student, to answer like a large one, the teacher.

Beyer et al., "Knowledge distillation: A good teacher is patient and consistent" (2022): both see the same augmented and
blended picture, and the student is trained for long. The teacher's answers for a fixed number of such views of each
photo are computed once, because they take longer than the student's training: Faghri et al., "Reinforce Data, Multiply
Impact" (2023). The student also learns the teacher's pooled features: Romero et al., "FitNets" (2015).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from catdog.engines.engine import Engine
from catdog.network.architecture import INPUT_PIXELS
from training.data.pixels import Labelled
from training.fitting.batches import Batches
from training.fitting.config import Config, Stage
from training.fitting.observer import Observer

SOFTNESS = 2.0  # the temperature of both answers: at 1 most of the teacher's are too sure to say more than the label
FEATURES_WEIGHT = 0.5  # of the features' loss, where that of the answers is 1
TOGETHER = 32  # views that the teacher looks at before the next progress report


class Views:
    """Augmented views of the photos, the same ones each time.

    With mixup, a view is blended with the same view of another photo.
    """

    def __init__(self, train: Labelled, config: Config) -> None:
        self.train = train
        self.number = config.views
        self._augmentation, self._mixup, self._seed = config.augmentation, config.mixup, config.seed

    def picture(self, row: int, view: int, pixels: int = INPUT_PIXELS) -> NDArray[np.uint8]:
        """One view of the photo in that row, RGB (pixels, pixels, 3): the same one at every size."""
        random = self._random(row, view)
        picture = self._augmentation.apply(self.train.photos[row], pixels, random)
        if not self._mixup:
            return picture
        share = random.beta(self._mixup, self._mixup)
        other = int(random.integers(len(self.train.photos)))
        blended = self._augmentation.apply(self.train.photos[other], pixels, random)
        return np.rint((1 - share) * picture + share * blended).astype(np.uint8)

    def _random(self, row: int, view: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, view, row))


class Answers:
    """The teacher's answers for every view, in files of `folder`: logits, then features, float16.

    `features` are the places of the features that the student has.
    """

    def __init__(self, views: Views, teacher: Engine, features: NDArray[np.int64], folder: Path) -> None:
        self._views = views
        self._teacher = teacher
        self._features = features
        self._files = [folder / f"teacher-{view}.npy" for view in range(views.number)]

    def compute(self, observer: Observer) -> Sequence[NDArray[np.float16]]:
        """For each view (n, classes + features); a view that was complete before an interruption is only read."""
        began, rows = monotonic(), len(self._views.train.photos)
        missing = [view for view, file in enumerate(self._files) if not file.exists()]
        for place, view in enumerate(missing):
            parts = []
            for start in range(0, rows, TOGETHER):
                parts.append(self._answers(view, range(start, min(start + TOGETHER, rows))))
                done = (place + min(1.0, (start + TOGETHER) / rows)) / len(missing)
                observer.progress(done, (monotonic() - began) * (1 - done) / done)
            written = self._files[view].with_suffix(".new.npy")
            np.save(written, np.concatenate(parts))
            written.replace(self._files[view])
        return [np.load(file, mmap_mode="r") for file in self._files]

    def _answers(self, view: int, rows: Sequence[int]) -> NDArray[np.float16]:
        with ThreadPoolExecutor() as threads:
            pictures = np.stack(list(threads.map(lambda row: self._views.picture(row, view), rows)))
        output = self._teacher.infer(pictures)
        return np.hstack([output.logits, output.features[:, self._features]]).astype(np.float16)


class TaughtBatches(Batches):
    """Batches of views, RGB (b, pixels, pixels, 3), with the teacher's answers, float32 (b, classes + features).

    Each epoch has the next view of every photo, mirrored or not: the teacher has nearly the same answer for both.
    """

    def __init__(
        self,
        train: Labelled,
        stage: Stage,
        config: Config,
        *,
        views: Views,
        answers: Sequence[NDArray[np.float16]],
        epoch: int = 0,
        processes: int = 0,
    ) -> None:
        super().__init__(train, stage, config, epoch=epoch, processes=processes)
        self._views = views
        self._answers = answers

    def __getitem__(self, index: int) -> Any:
        start, view = index * self._batch_size, self._epoch % self._views.number
        rows = self._order[start : start + self._batch_size]
        pixels = np.stack([self._views.picture(int(row), view, self._pixels) for row in rows])
        mirrored = np.random.default_rng((self._seed, self._epoch, index)).random(len(rows)) < 0.5
        pixels[mirrored] = pixels[mirrored, :, ::-1]
        return pixels, self._answers[view][rows].astype(np.float32)


@keras.saving.register_keras_serializable(package="catdog")
class Student(keras.Model):  # type: ignore[misc]  # Keras ships no types
    """A network with logits (n, classes) and features (n, features) that learns from `TaughtBatches`.

    Its metrics in training say how well it agrees with the teacher. With plain labels, (n, classes), as in a
    validation, they and its loss are about these.
    """

    def learn_from(self, answers: Sequence[NDArray[np.float16]]) -> None:
        """Weigh each feature by the deviation that the teacher's answers, (n, classes + features), give it."""
        classes = self.outputs[0].shape[-1]
        deviation = np.std(answers[0][:, classes:].astype(np.float32), axis=0)
        self._scale = 1 / np.maximum(deviation, 0.1 * np.mean(deviation) + 1e-6)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        logits, features = y_pred
        classes = logits.shape[-1]
        if y.shape[-1] == classes:
            return ops.mean(keras.losses.categorical_crossentropy(y, logits, from_logits=True))
        wanted, wanted_features = y[:, :classes], y[:, classes:]
        soft = ops.softmax(wanted / SOFTNESS)
        divergence = ops.sum(soft * (ops.log_softmax(wanted / SOFTNESS) - ops.log_softmax(logits / SOFTNESS)), axis=-1)
        apart = ops.square((ops.cast(features, "float32") - wanted_features) * self._scale)
        return SOFTNESS**2 * ops.mean(divergence) + FEATURES_WEIGHT * ops.mean(apart)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        logits = y_pred[0]
        classes = logits.shape[-1]
        labels = y if y.shape[-1] == classes else ops.softmax(y[:, :classes])
        return super().compute_metrics(x, labels, logits, sample_weight)
