"""Measures the speed of a training step with Keras's and with fused batch normalisation.

Both train the slim network, interleaved, in bfloat16 on TensorFlow. Prints photos per second: the median and range of
the rounds.
"""

from statistics import median
from time import perf_counter

import keras
import numpy as np

from catdog.network.architecture import Architecture
from training.fitting import trainable_network
from training.fitting.trainable_network import BatchNormalization

ROUNDS = 5
STEPS = 6  # per round
SIZES = ((64, 64), (112, 64), (160, 48))  # picture size in pixels, photos per step


def main() -> None:
    fused = trainable_network.build(Architecture(2, width=0.25), dropout=0.2, policy="mixed_bfloat16", seed=0)
    models = {"fused": _compiled(fused), "Keras": _compiled(keras.models.clone_model(fused, clone_function=_plain))}
    print(f"{'size':>8}  {'normalisation':<13}  photos/s  (range)")
    for pixels, batch in SIZES:
        speeds: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(ROUNDS):
            for name, model in models.items():
                speeds[name].append(_speed(model, pixels, batch))
        for name, found in speeds.items():
            print(f"{pixels:>5} px  {name:<13}  {median(found):>8.0f}  ({min(found):.0f} to {max(found):.0f})")


def _plain(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A copy of a layer, with Keras's own normalisation instead of ours."""
    kind = keras.layers.BatchNormalization if isinstance(layer, BatchNormalization) else type(layer)
    return kind.from_config(layer.get_config())


def _compiled(model: keras.Model) -> keras.Model:
    model.compile(keras.optimizers.AdamW(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def _speed(model: keras.Model, pixels: int, batch: int) -> float:
    photos = np.random.default_rng(0).integers(0, 256, (batch, pixels, pixels, 3), np.uint8)
    labels = np.arange(batch) % 2
    model.train_on_batch(photos, labels)  # compiles in the first round of a size
    began = perf_counter()
    for _ in range(STEPS):
        model.train_on_batch(photos, labels)
    return STEPS * batch / (perf_counter() - began)


if __name__ == "__main__":
    main()
