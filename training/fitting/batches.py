"""Augmented batches of photos for Keras's `fit`."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.data.pixels import Labelled
from training.fitting.config import Config, Stage

THREADS = 2


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras ships no types
    """Batches for `fit`: shuffled and augmented again in every epoch, reproducibly for the same seed.

    A batch is uint8 RGB (b, pixels, pixels, 3) with float32 labels (b, classes): one-hot, or blended by mixup. The last
    batch is dropped if it is short, because batch normalisation needs a full one. `epoch` is the first epoch. The
    batches are made by `processes` processes, or by two threads, which share a core most of the time.
    """

    def __init__(self, train: Labelled, stage: Stage, config: Config, *, epoch: int = 0, processes: int = 0) -> None:
        workers = processes or THREADS
        super().__init__(workers=workers, use_multiprocessing=bool(processes), max_queue_size=max(8, 2 * workers))
        self._photos = train.photos
        self._labels = train.one_hot
        self._pixels = stage.pixels
        self._batch_size = min(stage.batch_size, len(train.photos))
        self._augmentation = stage.augmentation or config.augmentation
        self._mixup = config.mixup
        self._seed = config.seed
        self._epoch = epoch
        self._order = self._shuffled()

    def __len__(self) -> int:
        return len(self._photos) // self._batch_size

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        start = index * self._batch_size
        rows = self._order[start : start + self._batch_size]
        random = np.random.default_rng((self._seed, self._epoch, index))
        batch = [self._augmentation.apply(self._photos[row], self._pixels, random) for row in rows]
        return self._mixed(np.stack(batch), self._labels[rows], random)

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._order = self._shuffled()

    def _mixed(
        self, photos: NDArray[np.uint8], labels: NDArray[np.float32], random: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Mixup: each photo blended with another, and its label blended in the same proportion."""
        if not self._mixup:
            return photos, labels
        share = np.float32(random.beta(self._mixup, self._mixup))
        other = random.permutation(len(photos))
        blended = np.rint((1 - share) * photos + share * photos[other]).astype(np.uint8)
        return blended, (1 - share) * labels + share * labels[other]

    def _shuffled(self) -> NDArray[Any]:
        return np.random.default_rng((self._seed, self._epoch)).permutation(len(self._photos))
