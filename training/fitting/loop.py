"""The training loop: stages of growing picture size, resumable, with the best epoch kept."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.callbacks import Callback, EarlyStopping, SwapEMAWeights

from catdog.engines.keras import has_accelerator
from catdog.system import resources
from training.data import features
from training.data.pixels import Labelled
from training.fitting.batches import Batches
from training.fitting.config import Config, Stage
from training.fitting.deferred_signals import DeferredSignals
from training.fitting.observer import Observer

TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8.0), 36)).astype(np.float32)  # 10% apart


@keras.saving.register_keras_serializable(package="catdog")
class CalibratedLogLoss(keras.metrics.Metric):  # type: ignore[misc]  # Keras ships no types
    """The mean log-loss of logits (n, classes) at the best of TEMPERATURES.

    A network trained for long on few photos becomes overconfident while its accuracy still rises. Its plain log-loss
    then rises, although calibration corrects that before a version is published.
    """

    def __init__(self, name: str = "calibrated_log_loss", **options: Any) -> None:
        super().__init__(name=name, **options)
        self._total = self.add_weight(shape=TEMPERATURES.shape, initializer="zeros", name="total")
        self._photos = self.add_weight(shape=(), initializer="zeros", name="photos")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        scaled = ops.expand_dims(ops.cast(y_pred, "float32"), 0) / TEMPERATURES[:, None, None]
        losses = -ops.sum(ops.cast(y_true, "float32") * ops.log_softmax(scaled, axis=-1), axis=(1, 2))
        self._total.assign_add(losses)
        self._photos.assign_add(ops.cast(ops.shape(y_pred)[0], "float32"))

    def result(self) -> Any:
        belief = 1 / TEMPERATURES + np.log(TEMPERATURES) - 1  # weighs less than a photo
        return ops.min(self._total + belief) / ops.maximum(self._photos, 1.0)


MONITOR = "val_calibrated_log_loss"
REPORT_SECONDS = 0.5  # between two progress reports of an epoch
Row = Mapping[str, float]
MakeBatches = Callable[..., Batches]  # with the arguments of Batches


class Checkpoint(Callback):  # type: ignore[misc]  # Keras ships no types
    """Keeps in `folder` what is needed to resume after the last complete epoch: weights, optimizer, history."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._state = folder / "state.json"
        self.candidate = folder / "candidate.weights.h5"  # the best epoch, until it is complete
        self.best = folder / "best.weights.h5"
        self.start: float | None = None  # MONITOR for the better of the initial weights and those of the last stage
        self.history: list[Row] = []

    def restore(self, model: keras.Model) -> None:
        """Restore the compiled `model`; does nothing if the folder has no complete epoch."""
        if self._state.exists():
            state = json.loads(self._state.read_text())
            model.load_weights(self._folder / state["weights"])
            self.history, self.start = state["history"], state["start"]

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._began = monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.history.append({"epoch": epoch + 1, "seconds": round(monotonic() - self._began, 1), **(logs or {})})
        if self.candidate.exists():
            self.candidate.replace(self.best)
        weights = self._folder / f"epoch-{epoch + 1}.weights.h5"
        self.model.save_weights(weights)
        written = self._state.with_suffix(".new")
        written.write_text(json.dumps({"weights": weights.name, "start": self.start, "history": self.history}))
        written.replace(self._state)
        for older in set(self._folder.glob("epoch-*.weights.h5")) - {weights}:
            older.unlink()


class Best(Callback):  # type: ignore[misc]  # Keras ships no types
    """Writes the weights to `file` whenever their validation result is better than before.

    It does so before the validation ends, because only until then the model has the averaged weights.
    """

    def __init__(self, file: Path, least: float) -> None:
        super().__init__()
        self._file = file
        self._least = least

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        found = (logs or {})[MONITOR.removeprefix("val_")]
        if found < self._least:
            self._least = found
            self.model.save_weights(self._file)


class Patience(EarlyStopping):  # type: ignore[misc]  # Keras ships no types
    """Early stopping that knows the losses from before a resumption, unlike Keras's own."""

    def __init__(self, patience: int, losses: Sequence[float]) -> None:
        super().__init__(MONITOR, patience=patience, mode="min")
        self._least = min(losses)
        self._waited = len(losses) - 1 - int(np.argmin(losses))

    @property
    def is_exhausted(self) -> bool:
        """Whether the training had already ended, and only a later step was interrupted."""
        return bool(self._waited >= self.patience)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        super().on_train_begin(logs)
        self.best, self.wait = self._least, self._waited


class Progress(Callback):  # type: ignore[misc]  # Keras ships no types
    """Reports the progress over the epochs of all stages to an observer.

    The time left assumes that the cost of a photo is proportional to its number of pixels.
    """

    def __init__(self, stages: Sequence[Stage], photos: int, observer: Observer) -> None:
        super().__init__()
        self._sizes = [stage.pixels for stage in stages for _ in range(stage.epochs)]
        self._photos = photos
        self._observer = observer
        self._reported = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch
        self._began = monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if monotonic() - self._reported > REPORT_SECONDS:
            self._report((batch + 1) / self.params["steps"])

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._report(1.0)
        seconds = max(monotonic() - self._began, 1e-9)
        row = {"epoch": epoch + 1, "seconds": round(seconds, 1), "pixels": self._sizes[epoch]}
        self._observer.epoch(
            {**row, "photos_per_second": round(self._photos / seconds, 1), **(logs or {})}, len(self._sizes)
        )

    def _report(self, share: float) -> None:
        """Report that `share` of the epoch is complete, 0-1."""
        self._reported = monotonic()
        work = [size**2 for size in self._sizes]
        now = share * work[self._epoch]
        done = sum(work[: self._epoch]) + now
        seconds = self._reported - self._began
        self._observer.progress(done / sum(work), (sum(work) - done) * seconds / now)


class TrainingLoop:
    """Trains `model`, RGB in and logits out, on `batches` of `train`; everything it writes is in `folder`."""

    def __init__(
        self,
        model: keras.Model,
        train: Labelled,
        validation: Labelled,
        config: Config,
        folder: Path,
        observer: Observer,
        batches: MakeBatches = Batches,
    ) -> None:
        self._model = model
        self._train = train
        self._validation = validation
        self._config = config.suited_to(len(train.labels))
        self._observer = observer
        self._batches = batches
        self._checkpoint = Checkpoint(folder)
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, resume: bool = False) -> list[Row]:
        """Train to the end; the model then has the last stage's best weights. Returns one row per epoch.

        With `resume` it continues after the last complete epoch in `folder`.
        """
        features.forget_engines()  # Keras needs the memory
        self._observer.phase("fitting")
        self._compile()
        if resume:
            self._checkpoint.restore(self._model)
        progress = Progress(self._config.stages, len(self._train.labels), self._observer)
        first = 0  # epoch of the stage
        with DeferredSignals() as signals:
            for stage in self._config.stages:
                begin = max(first, len(self._checkpoint.history))
                end = first + stage.epochs
                if begin < end:
                    self._fit(stage, first, begin, [progress, signals])
                    self._checkpoint.restore(self._model)  # Keras leaves the averaged weights in the model
                first = end
        self._model.load_weights(self._checkpoint.best)
        return self._checkpoint.history

    def _compile(self) -> None:
        config = self._config
        steps = sum(stage.epochs * max(1, len(self._train.labels) // stage.batch_size) for stage in config.stages)
        warmup = min(config.warmup_steps, steps // 4)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warmup, warmup_target=config.learning_rate, warmup_steps=warmup
        )
        averaged = {"use_ema": True, "ema_momentum": 1 - 1 / config.averaged_steps} if config.averaged_steps else {}
        optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, **averaged)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self._model.compile(
            optimizer,
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing),
            metrics=[
                "accuracy",
                keras.metrics.CategoricalCrossentropy("log_loss", from_logits=True),
                CalibratedLogLoss(),
            ],
            jit_compile="auto" if keras.backend.backend() == "jax" else False,
        )
        optimizer.build(self._model.trainable_variables)  # so that every weights file has its state

    def _consider_start(self, batch_size: int) -> None:
        """Keep the present weights if they are better at the serving size than the initial ones, or are these."""
        keeper = self._checkpoint
        photos = self._validation
        measured = self._model.evaluate(photos.photos, photos.one_hot, batch_size, verbose=0, return_dict=True)
        found = measured[MONITOR.removeprefix("val_")]
        if keeper.start is None or found < keeper.start:
            keeper.start = found
            self._model.save_weights(keeper.best)

    def _keepers(self, stage: Stage, first: int) -> list[Callback]:
        """The callbacks of the last stage: with the smaller pictures of earlier stages losses aren't comparable.

        The best weights before it count as its epoch 0.
        """
        keeper = self._checkpoint
        if stage is not self._config.stages[-1] or keeper.start is None:
            return []
        losses = [keeper.start, *(row[MONITOR] for row in keeper.history[first:])]
        best = Best(keeper.candidate, min(losses))
        patience = self._config.patience
        return [best] if patience is None else [best, Patience(patience, losses)]

    def _fit(self, stage: Stage, first: int, begin: int, watching: Sequence[Callback]) -> None:
        batches = self._batches(
            self._train,
            stage,
            self._config,
            epoch=begin,
            # With an accelerator all cores are free to make batches, and threads would be too slow.
            processes=resources.usable_cores() if has_accelerator() else 0,
        )
        # The last stage is validated at the serving size. It may train on smaller pictures, because crops show objects
        # larger (Touvron et al., "Fixing the train-test resolution discrepancy", 2019).
        last = stage is self._config.stages[-1]
        photos = self._validation.photos if last else self._validation.at(stage.pixels)
        if begin == first and (last or not first):
            self._consider_start(stage.batch_size)
        keepers = self._keepers(stage, first)
        if any(isinstance(keeper, Patience) and keeper.is_exhausted for keeper in keepers):
            return
        averaging = [SwapEMAWeights()] if self._config.averaged_steps else []
        self._model.fit(
            batches,
            validation_data=(photos, self._validation.one_hot),
            validation_batch_size=stage.batch_size,
            initial_epoch=begin,
            epochs=first + stage.epochs,
            callbacks=[*keepers, *averaging, self._checkpoint, *watching],  # an epoch is reported after it was saved
            shuffle=False,  # Keras would shuffle whole batches, without our seed
            verbose=0,
        )
