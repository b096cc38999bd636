"""A tutorial's way to train a head: every epoch runs the frozen network.

`python -m benchmarks.trainer.tutorial_training VERSION PHOTOS ACCURACY EPOCHS RESULT` trains until the validation
accuracy is reached, at most EPOCHS epochs, and writes the accuracy after each into the file RESULT, as JSON. The
frozen network is that of a version of ours.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from keras import layers

from catdog.engines.keras import build
from catdog.network.architecture import BLOCKS
from catdog.versions.version import Version

BATCH = 32
PREFETCH = -1  # tf.data.AUTOTUNE
LEARNING_RATE = 1e-3
DROPOUT = 0.2
DIGITS = 6  # of an accuracy; Keras computes it in float32


class StopAt(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Ends the training after the first epoch with this validation accuracy."""

    def __init__(self, accuracy: float) -> None:
        super().__init__()
        self._accuracy = accuracy

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        self.model.stop_training = round(logs["val_accuracy"], DIGITS) >= self._accuracy


def build_model(version: Version) -> keras.Model:
    network = build(version.manifest.architecture)
    network.load_weights(version.weights_path)
    base = keras.Model(network.inputs, network.get_layer(f"{BLOCKS[-1].name}_pool").output)
    base.trainable = False
    pixels = keras.Input((224, 224, 3))
    x = layers.GlobalAveragePooling2D()(base(pixels, training=False))
    logits = layers.Dense(len(version.manifest.classes))(layers.Dropout(DROPOUT)(x))
    model = keras.Model(pixels, logits)
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def photos(folder: Path) -> Any:
    data = keras.utils.image_dataset_from_directory(folder, image_size=(224, 224), batch_size=BATCH, seed=0)
    return data.prefetch(PREFETCH)


def main() -> None:
    version, data, accuracy, epochs, result = sys.argv[1:]
    keras.utils.set_random_seed(0)
    path = Path(version).resolve()
    model = build_model(Version.read(int(path.name), path))
    history = model.fit(
        photos(Path(data, "train")),
        validation_data=photos(Path(data, "validation")),
        epochs=int(epochs),
        callbacks=[StopAt(float(accuracy))],
        verbose=2,
    )
    accuracies = [round(accuracy, DIGITS) for accuracy in history.history["val_accuracy"]]
    Path(result).write_text(json.dumps(accuracies), "utf-8")


if __name__ == "__main__":
    main()
